"""Pure: what a strategy is, and how bars become intents."""
