"""What a person is told when a command can't do its work."""


class CommandError(Exception):
    """The text says what is wrong and what to do; the command ends with exit code 1."""
