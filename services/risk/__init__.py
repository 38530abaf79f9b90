"""Sizes, prices and approves or refuses every intent; watches exits; owns the trading state.

Reads: strategy.signals, order.events, control.commands, job.commands; follows market.quotes.
Writes: order.commands, risk.events, job.events.
Owns: decisions, trading_state, risk_account.
"""
