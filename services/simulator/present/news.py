"""News as TWS API messages."""

from datetime import UTC

from services.simulator.core.news import Bulletin, Story
from services.simulator.wire.layout import Values

_REGULAR_BULLETIN = 1


def tick_news(request_id: int, story: Story) -> Values:
    return {
        "request_id": request_id,
        "time": int(story.time.timestamp() * 1000),
        "provider": story.provider,
        "article_id": story.article_id,
        "headline": story.headline,
        "extra_data": "",
    }


def historical_news(request_id: int, story: Story) -> Values:
    return {
        "request_id": request_id,
        "time": f"{story.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}.0",
        "provider": story.provider,
        "article_id": story.article_id,
        "headline": story.headline,
    }


def bulletin(found: Bulletin) -> Values:
    return {
        "message_id": found.number,
        "message_type": _REGULAR_BULLETIN,
        "text": found.text,
        "exchange": found.exchange,
    }
