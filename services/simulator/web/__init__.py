"""IBKR's Client Portal Web API in front of the simulated broker: HTTP and a WebSocket, under `/v1/api`.

The face is a client of the broker like those of the TWS API, with a session that lives in memory: its orders, market
data lines, history and scans go the same way, through the same faults and the same journal, and what the broker says
is turned into JSON. Accounts, positions and contracts are read from the engine.

Names of paths and fields are those of IBKR Campus, "Web API v1.0 Documentation", and of what the package `ibind`
reads. Where IBKR does not say what happens, the module says what is assumed.
"""
