"""Pure: tapes in, trades and an equity curve out."""
