"""What the gateway does with each command."""
