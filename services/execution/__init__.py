"""Keeps the books: every order's life, fills, positions and profit, always reconcilable with the broker.

Reads: order.commands, broker.events, job.commands.
Writes: broker.commands, order.events, job.events.
Owns: orders, fills, positions, accounts.
"""
