"""What IBKR's notices about itself say: the link, the data farms, a competing login, lost subscriptions.

Source: https://interactivebrokers.github.io/tws-api/message_codes.html ("System Message Codes", "Warning Message
Codes"). Which text names the farm is seen from gateways of 2026: `Market data farm connection is broken:usfarm`.
"""

LINK_LOST = frozenset({1100, 2110})
LINK_RESTORED_DATA_LOST = 1101
LINK_RESTORED = frozenset({LINK_RESTORED_DATA_LOST, 1102})
FARM_DOWN = frozenset({2103, 2105, 2157})
FARM_UP = frozenset({2104, 2106, 2107, 2108, 2158})
"""2107 and 2108: inactive for want of subscriptions, and there on demand."""
COMPETING = 10197
SUBSCRIPTION_ENDED = 10225
"""A stream was deactivated by IBKR: it has to be asked for again."""


def farm(text: str) -> str:
    """The farm that a notice is about; the whole text where it names none."""
    name = text.rpartition(":")[2].strip()
    # the notices 2107 and 2108 were seen with a full stop before the name
    return name.rpartition(".")[2].strip() or text


def connected_farms(text: str) -> frozenset[str]:
    """The farms that 1101 or 1102 lists: `... All data farms are connected: usfarm; ushmds; secdefnj.`"""
    listed = text.partition("farms are connected:")[2].rstrip(". ")
    return frozenset(name.strip() for name in listed.split(";") if name.strip())
