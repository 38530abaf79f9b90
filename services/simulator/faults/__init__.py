"""Faults: what goes wrong at the edge of the simulator, by script, by the control port, or by a scenario's name.

`injector` carries scripts out; it is not imported here, so that a list of scenarios costs a command line little.
"""

from services.simulator.faults.model import Script
from services.simulator.faults.scenarios import load, scenarios

__all__ = ["Script", "load", "scenarios"]
