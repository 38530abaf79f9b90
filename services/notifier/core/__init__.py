"""Pure: which events deserve an alert, and in which words."""
