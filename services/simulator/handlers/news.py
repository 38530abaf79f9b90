"""News, bulletins, and the reports that need a subscription of their own."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.simulator.broker import Broker
from services.simulator.core.news import PROVIDERS, Story
from services.simulator.handlers import Handler
from services.simulator.handlers.data import checked
from services.simulator.handlers.times import parse_time
from services.simulator.present import news as present
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_MOST_STORIES = 300
"""Headlines of one request, at most (IBKR)."""
_LONGEST = timedelta(days=366)
_TODAY = timedelta(hours=24)


def providers(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker, request
    rows = [{"code": code, "name": name} for code, name in PROVIDERS.items()]
    session.send(answers.NEWS_PROVIDERS, {"providers": rows})


def article(broker: Broker, session: ClientSession, request: Request) -> None:
    request_id = request.integer("request_id")
    news, now = broker.market_data.news, broker.engine.now
    found = news.article(request.text("provider"), request.text("article_id"), now)
    if found is None:
        session.error(request_id, 10172, "Failed to request news article:No data available")
        return
    session.send(answers.NEWS_ARTICLE, {"request_id": request_id, "article_type": 0, "text": found.text})


def historical_news(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer with the latest stories of a span of time, newest first; a span without a start is one year."""
    request_id, wanted = request.integer("request_id"), set(request.text("providers").split("+"))
    now = broker.engine.now
    end = min(_moment(request.text("end")) or now, now)
    start = _moment(request.text("start")) or end - _LONGEST
    total = max(1, min(request.integer("total", _MOST_STORIES), _MOST_STORIES))
    found = [story for story in _stories(broker, request.integer("con_id"), start, end) if story.provider in wanted]
    for story in found[-total:][::-1]:
        session.send(answers.HISTORICAL_NEWS, present.historical_news(request_id, story))
    row = {"request_id": request_id, "has_more": len(found) > total}
    session.send(answers.HISTORICAL_NEWS_END, row)


def _stories(broker: Broker, contract_id: int, start: datetime, end: datetime) -> list[Story]:
    try:
        return list(broker.market_data.news.between(contract_id, max(start, end - _LONGEST), end))
    except KeyError:
        return []


def _moment(text: str) -> datetime | None:
    """Return a time of `yyyy-mm-dd hh:mm:ss[.f]` in UTC, or of any form of the API's; None of empty text."""
    text = text.strip()
    if not text or text == "null":
        return None
    if text[4:5] == "-":
        return checked(datetime.strptime(text.partition(".")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    return checked(parse_time(text, ZoneInfo("UTC")))


def bulletins(broker: Broker, session: ClientSession, request: Request) -> None:
    """Send bulletins from now on, and today's as well if all are wanted."""
    session.data.bulletins = True
    if request.flag("all_messages"):
        broker.market_data.send_bulletins(session, broker.engine.now - _TODAY)


def cancel_bulletins(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker, request
    session.data.bulletins = False


def fundamental_data(broker: Broker, session: ClientSession, request: Request) -> None:
    """Refuse: no account has the subscription that reports need."""
    del broker
    text = "We are sorry, but fundamentals data for the security specified is not available.Not allowed"
    session.error(request.integer("request_id"), 430, text)


def event_data(broker: Broker, session: ClientSession, request: Request) -> None:
    """Refuse events of Wall Street Horizon: no account has that subscription."""
    del broker
    session.error(request.integer("request_id"), 10276, "News feed is not allowed.")


def finished(broker: Broker, session: ClientSession, request: Request) -> None:
    """Cancel a query that was answered when it came: there is nothing left to do."""
    del broker, session
    request.integer("request_id")


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_NEWS_PROVIDERS: providers,
    requests.REQUEST_NEWS_ARTICLE: article,
    requests.REQUEST_HISTORICAL_NEWS: historical_news,
    requests.REQUEST_NEWS_BULLETINS: bulletins,
    requests.CANCEL_NEWS_BULLETINS: cancel_bulletins,
    requests.REQUEST_FUNDAMENTAL_DATA: fundamental_data,
    requests.CANCEL_FUNDAMENTAL_DATA: finished,
    requests.REQUEST_WSH_META_DATA: event_data,
    requests.CANCEL_WSH_META_DATA: finished,
    requests.REQUEST_WSH_EVENT_DATA: event_data,
    requests.CANCEL_WSH_EVENT_DATA: finished,
}
