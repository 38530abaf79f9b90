"""Pure: the filters a symbol must pass."""
