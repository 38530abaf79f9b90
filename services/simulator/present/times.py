"""Times as TWS writes them."""

from datetime import datetime

from services.simulator.core.hours import EXCHANGE_ZONE

ZONE_NAME = "US/Eastern"


def exchange_time(moment: datetime) -> str:
    """Return TWS's form since version 174: `yyyymmdd hh:mm:ss zone`."""
    return f"{moment.astimezone(EXCHANGE_ZONE):%Y%m%d %H:%M:%S} {ZONE_NAME}"
