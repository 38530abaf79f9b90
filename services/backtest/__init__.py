"""Decides how strategies would have done: the services' own cores in one process, on virtual time.

Reads: price files, the bar store or the simulated market; sentiment files.
Writes: no stream. Results go to a folder, studies to PostgreSQL or a file.
Owns: nothing that trades.
"""
