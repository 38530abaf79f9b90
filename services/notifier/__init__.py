"""Tells the trader: fills, refusals, trading-state changes, broker trouble and dead letters.

Reads: order.events, risk.events, broker.events, and every dead-letter stream.
Writes: alert.events.
Owns: alerts.
"""
