"""What the engine knows, as values of TWS API messages: pure functions, one module per subject."""
