"""The harness's exceptions and the exit code that each one ends with."""


class BenchError(Exception):
    """The harness itself failed; its message is one line that names the remedy."""

    exit_code = 1


class UsageError(BenchError):
    """The command line, or a file that the user wrote, asks for something that does not exist."""

    exit_code = 2


class InvalidRunError(BenchError):
    """Something was measured, but no trial of it may be believed."""

    exit_code = 4
