"""A simulated IB Gateway: a market, a matching engine and an account behind the TWS wire protocol.

Decides: which price an order gets, what the account is worth, and what a client of the TWS API is told about it.
Reads:   TCP connections of TWS API clients (unmodified ib_async), market data files.
Writes:  answers on those connections; its journal, `<data folder>/simulator/journal.jsonl`.
Owns:    virtual time, moved by a real-time factor or by its control routes (`POST /advance`).
Ports:   `port` (default 4002) speaks the TWS API; the common HTTP port serves health, metrics and the control routes.

It uses no Redis and no database: to the rest of the system it is the broker, and it can be used by itself.
"""
