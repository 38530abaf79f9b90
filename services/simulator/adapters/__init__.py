"""The simulator's outside besides its clients: price files and the journal on disk."""
