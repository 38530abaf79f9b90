"""What a backtest reads and leaves behind: markets, results, reports."""
