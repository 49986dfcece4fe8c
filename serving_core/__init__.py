"""What every service shares: decoding, transforms, HTTP, limits, model loading, metrics and lifecycle."""

import os

# ONNX Runtime's wheel reports to its maker and keeps an identifier on disk, unless this is set before its
# import. It is set here, because a handler may import ONNX Runtime too.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
