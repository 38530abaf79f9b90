"""Searches a strategy's parameters: many sets, many processes, one study that they share."""
