"""What a symbol must be to be worth trading: not too cheap, liquid, known for long enough, not falling too fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.messages.scan import Candidate


@dataclass(frozen=True, slots=True)
class DailyClose:
    """A session's close in USD per share, and its volume in shares."""

    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Filters:
    """The limits. Dollar volume is the mean of close x volume over `look_back` sessions, in USD; momentum is the
    return over `look_back` sessions, as a fraction."""

    min_price: Decimal
    min_dollar_volume: Decimal
    min_momentum: float
    look_back: int

    @property
    def sessions(self) -> int:
        """How many sessions a judgement needs."""
        return self.look_back + 1

    def judge(self, symbol: str, history: Sequence[DailyClose]) -> Candidate:
        """Keep or drop a symbol, by its newest `sessions` sessions, oldest first."""
        if len(history) < self.sessions:
            reason = f"{len(history)} of {self.sessions} sessions known"
            close = history[-1].close if history else None
            return Candidate(symbol=symbol, kept=False, reason=reason, close=close, dollar_volume=None, momentum=None)
        newest, recent = history[-1], history[-self.look_back :]
        traded = sum((day.close * day.volume for day in recent), Decimal(0)) / self.look_back
        momentum = float(newest.close / history[-self.sessions].close) - 1
        fault = self._fault(newest.close, traded, momentum)
        return Candidate(
            symbol=symbol,
            kept=fault is None,
            reason=fault or "passes every filter",
            close=newest.close,
            dollar_volume=traded.quantize(Decimal(1)),
            momentum=round(momentum, 6),
        )

    def _fault(self, close: Decimal, dollar_volume: Decimal, momentum: float) -> str | None:
        if close < self.min_price:
            return f"close {close} below {self.min_price} USD"
        if dollar_volume < self.min_dollar_volume:
            return f"dollar volume {dollar_volume:,.0f} below {self.min_dollar_volume:,.0f} USD"
        if momentum < self.min_momentum:
            return f"momentum {momentum:+.1%} below {self.min_momentum:+.1%} in {self.look_back} sessions"
        return None
