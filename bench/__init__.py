"""The measured promises. `python -m bench` prints each as a ratio against a named baseline of the same run."""
