"""The language and the plumbing that every service speaks. Nothing here decides."""
