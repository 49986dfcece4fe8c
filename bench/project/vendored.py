"""The files of this repository that a project takes along: what its images are built from, and its CI runs.

The wheel holds them in a folder beside this file, where the build puts them. A checkout has no such folder:
there they are taken from where they are. setup.py imports this module, so it imports nothing of its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

SERVICES = ("batched_serving", "onnx_serving", "torch_serving")
# files, and folders with all that is in them, by their paths here, beside what the Dockerfiles copy
SOURCES = (
    *(".dockerignore", "LICENSE", "compose.yaml", "locks/bench.txt", "tools/gate_verdict.sh", "wheels/.keep"),
    *SERVICES,
)
FOLDER = Path(__file__).parent / "vendored"
# a variant of an image, which needs more than a project takes along
VARIANT = ".Dockerfile"
# an argument with what it is if nobody gives another
ARG = re.compile(r"^ARG (\w+)=(\S+)$", re.MULTILINE)
# an instruction that copies from the repository, and not from another stage
COPY = re.compile(r"^COPY (?!--)(.+) \S+$", re.MULTILINE)


def sources_folder() -> Path:
    """The folder below which the sources lie: the wheel's, else the checkout's."""
    return FOLDER if FOLDER.is_dir() else Path(__file__).parents[2]


def sources(folder: Path) -> tuple[str, ...]:
    """The files and folders that a project takes along, by their paths below `folder`, in order."""
    texts = [_as_usual((folder / service / "Dockerfile").read_text(encoding="utf-8")) for service in SERVICES]
    copied = (source for text in texts for line in COPY.findall(text) for source in line.split())
    return tuple(sorted({*SOURCES, *copied}))


def source_files(folder: Path) -> Iterator[Path]:
    """Their files, relative to `folder`, in order; raises FileNotFoundError if one is missing."""
    for source in sources(folder):
        place = folder / source
        if not place.exists():
            raise FileNotFoundError(f"{source} is not in {folder}")
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (
            path.relative_to(folder)
            for path in found
            if path.is_file() and path.parent.name != "__pycache__" and path.suffix != VARIANT
        )


def _as_usual(dockerfile: str) -> str:
    """A Dockerfile with its arguments replaced by what they usually are."""
    for name, usual in ARG.findall(dockerfile):
        dockerfile = dockerfile.replace(f"${{{name}}}", usual)
    return dockerfile
