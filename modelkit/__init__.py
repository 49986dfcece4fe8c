"""The model's life, from training scenes to publication; this file holds the package's exceptions."""

import os

# before its import: ONNX Runtime's wheel otherwise reports to its maker, and keeps an identifier on disk
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class ModelkitError(Exception):
    """The command failed; the message is one line that names the remedy."""

    exit_code = 1


class ModelkitUsageError(ModelkitError):
    """The command line is wrong."""

    exit_code = 2
