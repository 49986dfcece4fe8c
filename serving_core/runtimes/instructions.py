"""What this processor can compute."""

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# the names of x86 and of arm64, of what computes with bf16 and does not only emulate it
_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def has_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """Tell whether the processor has instructions for bf16; False if the system does not say."""
    try:
        text = cpuinfo.read_text("ascii", errors="replace")
    except OSError:
        return False
    lines = (line.partition(":") for line in text.splitlines())
    return any(key.strip() in ("flags", "Features") and _BF16 & {*value.split()} for key, _, value in lines)
