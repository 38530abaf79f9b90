"""The TWS API on the wire: framing, field layouts with version gates, and every message the simulator knows.

Source: the public behaviour of TWS API clients and servers at versions 157 to 178; all are text fields, each ended
by a NUL byte, in frames with a four-byte big-endian length.
"""

MINIMUM_VERSION = 157
MAXIMUM_VERSION = 178
AMBIGUOUS_VERSION = 158
"""Never spoken: clients disagree whether its openOrder ends with `duration`."""
