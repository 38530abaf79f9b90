"""ib_async: the only place that knows IBKR's names, sentinels and floats."""
