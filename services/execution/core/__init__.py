"""Pure: orders, fills and positions as a fold over commands and broker reports."""
