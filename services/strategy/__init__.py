"""Strategies: closed bars in, order intents out.

Decides: which symbol a strategy wants to enter or leave, with its stop and target distances.
Reads:   market.bars, scan.results, sentiment.readings, job.commands; at the start the table bars.
Writes:  strategy.signals, job.events.
Owns:    nothing: it knows neither positions nor money, and what it remembers can be read again.
"""
