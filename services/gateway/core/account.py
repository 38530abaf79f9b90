"""Which account is traded, and whether it may be in this mode."""

from collections.abc import Sequence

from shared.types import Mode

PAPER_PREFIXES = ("DU", "DF")  # DF: a paper financial advisor


def choose(wanted: str | None, managed: Sequence[str], mode: Mode) -> str:
    """The account to trade.

    Args:
        wanted: the setting, None for the only managed account.
        managed: what the broker says this login manages.

    Raises:
        ValueError: it can't be chosen, or is real money where paper is wanted, or paper where real money is.
    """
    if wanted is None and len(managed) != 1:
        raise ValueError(f"account is not set, and the login manages {list(managed)}: set account to one of them")
    account = managed[0] if wanted is None else wanted
    if account not in managed:
        raise ValueError(f"account = {account!r}, but the login manages {list(managed)}: set account to one of them")
    paper = account.startswith(PAPER_PREFIXES)
    if paper is (mode is Mode.LIVE) or not account.startswith((*PAPER_PREFIXES, "U")):
        wanted_prefix = "U" if mode is Mode.LIVE else " or ".join(PAPER_PREFIXES)
        raise ValueError(
            f"account {account!r} does not fit mode = {mode}, whose accounts begin with {wanted_prefix}: "
            "connect to the other gateway, or change the mode"
        )
    return account
