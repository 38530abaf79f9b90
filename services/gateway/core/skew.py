"""How far our clock is from the broker's, as far as a round trip can tell."""

from datetime import datetime, timedelta

ZERO = timedelta(0)
RESOLUTION = timedelta(seconds=1)
"""The broker's time has whole seconds (IBKR: `currentTime` is a UNIX time): it is any time of that second."""
WARNED_ABOVE = timedelta(seconds=2)
TOLERATED = timedelta(seconds=10)


def skew(broker: datetime, asked: datetime, answered: datetime) -> timedelta:
    """The smallest difference that explains the answer: positive when the broker's clock is ahead of ours.

    The broker looked at its clock some time between `asked` and `answered` of ours, so a slow answer excuses as much
    as it lasted.
    """
    return max(broker - answered, ZERO) + min(broker + RESOLUTION - asked, ZERO)


def in_words(difference: timedelta) -> str:
    side = "behind" if difference > ZERO else "ahead of"
    return f"our clock is {abs(difference).total_seconds():.0f} s {side} the broker's: set it (NTP)"
