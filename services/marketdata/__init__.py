"""The bar store: closed bars, checked, each published once.

Decides: which history is missing, which bars can be believed, and when a minute has closed.
Reads:   broker.events, job.commands; follows market.quotes (only with `minute_bars`).
Writes:  market.bars, market.commands, job.events.
Owns:    the table bars.
"""
