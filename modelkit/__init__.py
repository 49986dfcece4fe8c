"""The model's life, from training scenes to publication; this file holds the package's exceptions."""


class ModelkitError(Exception):
    """The command failed; the message is one line that names the remedy."""

    exit_code = 1


class ModelkitUsageError(ModelkitError):
    """The command line is wrong."""

    exit_code = 2
