"""The simulated broker as plain functions of state, command and virtual time: no I/O, no clock, no framework."""
