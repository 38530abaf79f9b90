"""The clock of the house: says when a job is due, and keeps the record of every run.

Decides: which job is due at which moment of a session, and whether a late one is still worth running.
Reads:   broker.events (the broker's time), job.events.
Writes:  job.commands, scan.commands.
Owns:    the table job_runs.
"""
