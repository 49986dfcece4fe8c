"""Keeps freed memory for the next request, where the C library can be told to."""

import ctypes
import os

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
MIB = 1024 * 1024


def keep_freed_memory() -> None:
    """Tell glibc not to hand image-sized buffers back after each request; does nothing elsewhere.

    By default each such buffer is mapped, zeroed page by page, and unmapped again: 1 300 page faults and a
    third of eager PyTorch's time for a small image. Every service does it, so no strategy is favoured.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return  # whoever runs the service has decided
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_MMAP_THRESHOLD, 32 * MIB)  # the most that glibc accepts
    mallopt(M_TRIM_THRESHOLD, 256 * MIB)
