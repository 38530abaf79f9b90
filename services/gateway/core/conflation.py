"""Which symbols' quotes the next batch carries: those that changed, and now and then all.

A reader that starts finds every symbol among the newest batches (`shared.quotes.WARM_UP_BATCHES`), and a stream that
is trimmed by age never loses the newest quote of a quiet symbol.
"""

REPEAT_BATCHES = 1000  # at most half of WARM_UP_BATCHES
REPEAT_SECONDS = 5.0


class Conflation:
    """Collects the symbols that changed between two batches."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._known: set[str] = set()
        self._batches = 0
        self._repeated_at = float("-inf")

    def take(self, now: float) -> set[str]:
        """Symbols of the next batch, and begin to collect anew; `now` is in seconds of any clock that only rises."""
        self._known |= self.changed
        symbols, self.changed = self.changed, set()
        if self._batches >= REPEAT_BATCHES or now - self._repeated_at >= REPEAT_SECONDS:
            symbols = set(self._known)
            self._batches, self._repeated_at = 0, now
        self._batches += bool(symbols)
        return symbols

    def forget(self, symbol: str) -> None:
        """It is not streamed any more."""
        self.changed.discard(symbol)
        self._known.discard(symbol)
