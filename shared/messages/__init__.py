"""Every message type, one file per subject."""
