"""Modelkit's exceptions and the exit codes they end with."""


class ModelkitError(Exception):
    """The command failed; the message is one line that names the remedy."""

    exit_code = 1


class ModelkitUsageError(ModelkitError):
    """The command line asks for something that does not exist."""

    exit_code = 2
