"""Networks that AOTInductor compiled ahead for one kind of processor (network.pt2): made here, and loaded.

Such a file is a library of machine code: whoever loads it runs it, so it is loaded from a place that only its
publisher writes. It is code for the instructions of the processor that it was made on; on another the
processor could end the process, so what the file says of them is compared before anything of it is loaded.
"""

import json
import platform
import re
import shutil
import stat
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

SUFFIX = ".pt2"
# in the metadata that PyTorch writes beside the library
_MADE_FOR = "made_for_instructions"
_MADE_BY = "made_by_pytorch"
_METADATA = re.compile(r"(?:[^/]+/)?data/aotinductor/model/[^/]*wrapper_metadata\.json")
_CPUINFO = Path("/proc/cpuinfo")
# the flags of x86 that name instructions which a compiler may choose
_OF_X86 = re.compile(r"(sse|ssse|avx|amx|fma|f16c|bmi|popcnt|movbe|abm|gfni|vaes|vpclmul|sha_|adx|pni)")
# PyTorch lets its assembler mark the stack as executable, which hardened systems refuse to load
_COMPILER = '#!/bin/sh\nexec {compiler} "$@" -Wa,--noexecstack\n'
_MOST_BATCH = 1024
# a compiled network: normalised images [n, 3, side, side] -> its outputs in order
Compiled = Callable[[Tensor], Sequence[Tensor]]


class CompiledError(ValueError):
    """A network cannot be compiled, or a compiled one not be loaded; one line that ends with the remedy."""


def instructions(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Return the names of this processor's instructions that compilers choose from; empty if unknown."""
    try:
        text = cpuinfo.read_text("ascii", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            return frozenset(flag for flag in value.split() if _OF_X86.match(flag))
        if key.strip() == "Features":
            return frozenset(value.split())
    return frozenset()


def compile_network(network: nn.Module, side: int, output: Path) -> None:
    """Write a network for this processor, which takes float32 [n, 3, side, side]; raises CompiledError.

    It needs the compiler g++, and takes a minute or several of a core's time.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise CompiledError(
            "there is no compiler g++ here: install it (apt-get install g++), or build the image of "
            "model-compiler, which has it"
        )
    sizes = ({0: torch.export.Dim("batch", min=1, max=_MOST_BATCH)},)
    example = torch.zeros(2, 3, side, side)
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "g++"
        wrapper.write_text(_COMPILER.format(compiler=compiler), "ascii")
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
        with torch.no_grad(), warnings.catch_warnings():
            # PyTorch warns of its own parts, which no change here could avoid
            warnings.simplefilter("ignore")
            program = torch.export.export(network.eval(), (example,), dynamic_shapes=sizes)
            torch._inductor.aoti_compile_and_package(
                program,
                package_path=str(output),
                inductor_configs={
                    "cpp.cxx": (None, str(wrapper)),
                    "aot_inductor.metadata": {
                        _MADE_FOR: " ".join(sorted(instructions())),
                        _MADE_BY: torch.__version__.partition("+")[0],
                    },
                },
            )


def load_compiled(path: Path, callers: int = 1, cpuinfo: Path = _CPUINFO) -> Compiled:
    """Return the network in a file, which as many `callers` compute at once.

    Raises CompiledError if it is another file, or for another processor.
    """
    stated = _stated(path)
    version = torch.__version__.partition("+")[0]
    if stated[_MADE_BY] != version:
        raise CompiledError(
            f"{path.name} was compiled with PyTorch {stated[_MADE_BY]}, and here is {version}: "
            "compile it again"
        )
    machine = stated.get("AOTI_MACHINE", platform.machine())
    missing = frozenset(stated[_MADE_FOR].split()) - instructions(cpuinfo)
    if machine != platform.machine() or missing:
        lacks = f"lacks {', '.join(sorted(missing)[:5])}" if missing else f"is {platform.machine()}"
        raise CompiledError(
            f"{path.name} was compiled for another processor ({machine}; this one {lacks}): compile it on "
            "this machine, python -m modelkit compile, or set COMPUTE=eager with the weights"
        )
    try:
        # PyTorch's function in Python does no more, and imports the whole compiler
        loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, callers, -1)
    except Exception as error:  # noqa: BLE001 - what PyTorch raises for a file it cannot load is not documented
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise CompiledError(
            f"{path.name} cannot be loaded ({cause}): compile it in an image of this system, as "
            "model-compiler does, and let /tmp hold code that may run"
        ) from None

    def compute(images: Tensor) -> Sequence[Tensor]:
        made: Sequence[Tensor] = loader.run([images])
        return made

    return compute


def _stated(path: Path) -> dict[str, str]:
    """Return the metadata in the file; raises CompiledError if it is not a file that compile_network made."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = filter(_METADATA.fullmatch, archive.namelist())
            stated = json.loads(archive.read(name))
    except (OSError, ValueError, zipfile.BadZipFile):
        stated = None
    if not isinstance(stated, dict) or not stated.keys() >= {_MADE_FOR, _MADE_BY}:
        raise CompiledError(
            f"{path.name} is not a network that was compiled ahead: give TORCH_MODEL_URI the address of the "
            "network.pt2 that python -m modelkit compile made, or set COMPUTE=eager"
        )
    return {key: value for key, value in stated.items() if isinstance(value, str)}
