"""When IBKR has announced that its servers are reset: an outage then is expected, and no reason for alarm.

Hours: https://www.interactivebrokers.com/en/software/systemStatus.php ("System Availability", as of 2025; before that
the night reset of North America was announced for 23:45 to 00:45). The account is out of reach for some seconds or
minutes of such a window, not for all of it (first footnote there), so a window alone stops nothing: it only explains.
At the end of the week all services of all regions are down for all of the window (second footnote).

The page gives the Asian hours in Hong Kong time and the European ones in Central European time; "CET" is taken for the
civil time of Zurich, summer time included (assumed).
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_ZURICH = ZoneInfo("Europe/Zurich")
_HONG_KONG = ZoneInfo("Asia/Hong_Kong")
_SATURDAY = 5


class Region(StrEnum):
    """Where the account is served: its own region for a live account, North America for a paper account.

    TWS shows the server's name under Data > Primary (https://www.interactivebrokers.com/campus/ibkr-api-page/twsapi-doc/,
    "Connected IB Server Location").
    """

    NORTH_AMERICA = "north_america"
    EUROPE = "europe"
    ASIA = "asia"


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day, `end` excluded; all within one day of its zone."""

    begin: time
    end: time
    zone: ZoneInfo

    def holds(self, local: datetime) -> bool:
        return self.begin <= local.time() < self.end


DAILY: dict[Region, tuple[Window, ...]] = {
    Region.NORTH_AMERICA: (Window(time(0, 15), time(1, 45), _NEW_YORK),),
    Region.EUROPE: (Window(time(6, 25), time(7, 45), _ZURICH),),
    Region.ASIA: (Window(time(4, 45), time(6, 5), _HONG_KONG), Window(time(20, 15), time(21, 15), _HONG_KONG)),
}
"""From Sunday to Friday."""
WEEKEND = (timedelta(days=4, hours=23), timedelta(days=5, hours=3))
"""Friday 23:00 to Saturday 03:00 in New York, for all regions; since the beginning of Monday."""

RESTART_LASTS = timedelta(minutes=5)
"""Of IB Gateway's own daily restart (assumed; the port was seen to be refused for one or two minutes)."""


def reset_window(region: Region, now: datetime, daily_restart: time | None = None) -> str:
    """The announced hours that `now` lies in, in words; empty outside of them.

    Args:
        daily_restart: when IB Gateway or TWS restarts by itself, New York time; that, too, is announced.
    """
    new_york = now.astimezone(_NEW_YORK)
    since_monday = timedelta(days=new_york.weekday(), hours=new_york.hour, minutes=new_york.minute)
    if WEEKEND[0] <= since_monday < WEEKEND[1]:
        return "until 03:00 New York"
    for window in DAILY[region]:
        local = now.astimezone(window.zone)
        if local.weekday() != _SATURDAY and window.holds(local):
            return f"until {window.end:%H:%M} {window.zone.key.partition('/')[2].replace('_', ' ')}"
    if daily_restart is not None:
        since = new_york - datetime.combine(new_york.date(), daily_restart, _NEW_YORK)
        if since % timedelta(days=1) < RESTART_LASTS:
            return f"the daily restart at {daily_restart:%H:%M} New York"
    return ""
