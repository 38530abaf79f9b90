"""Pure: when jobs are due."""
