"""Pure: what history is missing, which bars hold together, quotes into minutes."""
