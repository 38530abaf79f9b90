"""Tells the trader: fills, refusals, trading-state changes, broker trouble and dead letters.

It is also the gateway's dead man's switch: in paper and live mode it alerts when nothing is heard of a usable session.

Reads: order.events, risk.events, broker.events, and every dead-letter stream.
Writes: alert.events.
Owns: alerts.
"""
