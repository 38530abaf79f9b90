"""Scanners: stateless workers that look at shards of symbols; start as many as you like.

Decides: which symbols are worth trading, each with the reason.
Reads:   scan.commands (one group, shared by all workers); the table bars.
Writes:  scan.results.
Owns:    nothing.
"""
