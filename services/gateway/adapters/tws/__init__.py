"""IB Gateway and TWS through ib_async: the only place that knows the TWS API's names, sentinels and floats."""
