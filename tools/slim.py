"""slim.py VENV LIST: remove from a virtual environment what LIST names, and the symbols that nothing loads.

A line of LIST is a pattern of paths below site-packages, blanks, and the reason; # begins a comment. A line
that matches nothing is no fault, because a list serves several environments. Licences and the metadata of
packages stay, whatever the list names.

Shared libraries lose their tables for debuggers, as by `strip`, which the base image lacks. A second call
changes no file: an image's layer must not repeat files of the layer below.
"""

import csv
import re
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

# an ELF file of 64 bits, little-endian: its head, a segment, a section
MAGIC = b"\x7fELF\x02\x01"
HEAD = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
IS_LOADED = 0x2
# what `strip` keeps too: with less to gain than this, a file is left as it is
LEAST_GAIN_BYTES = 4096
# a text or a folder of texts, unless it is code that reads licences
LICENCE = re.compile(r"licen[cs]es?|copying|notice|third-?party", re.IGNORECASE)
CODE = frozenset({".py", ".pyc", ".pyi", ".so"})


def main(arguments: list[str]) -> None:
    """Do what the module says, and print what it gained."""
    venv, listed = Path(arguments[0]), Path(arguments[1]).read_text(encoding="utf-8")
    removed = stripped = 0
    for packages in venv.glob("lib/python*/site-packages"):
        for pattern in patterns(listed):
            removed += sum(remove(path) for path in sorted(packages.glob(pattern)))
        removed += sum(
            remove(path) for path in sorted(packages.rglob("__pycache__/*.pyc")) if is_orphan(path)
        )
        stripped += sum(strip(path) for path in sorted(packages.rglob("*.so*")) if may_strip(path))
        for record in sorted(packages.glob("*.dist-info/RECORD")):
            correct(record)
    print(f"slim.py: {removed / 1e6:.1f} MB removed, {stripped / 1e6:.1f} MB stripped", file=sys.stderr)


def patterns(listed: str) -> Iterator[str]:
    """Yield the pattern of each line; raises ValueError for a line without a reason."""
    for line in listed.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.partition(" ")
        if not reason.strip():
            raise ValueError(f"{pattern} has no reason beside it")
        yield pattern


def remove(path: Path, *, of_licences: bool = False) -> int:
    """Remove a file, or a folder but for its licence texts; return the bytes that went."""
    if path.suffix == ".dist-info" or not (path.exists() or path.is_symlink()):
        return 0
    of_licences = of_licences or LICENCE.match(path.name) is not None
    if path.is_symlink() or path.is_file():
        if of_licences and path.suffix not in CODE:
            return 0
        size = path.lstat().st_size
        path.unlink()
        return size
    size = sum(remove(below, of_licences=of_licences) for below in list(path.iterdir()))
    if not any(path.iterdir()):
        path.rmdir()
    return size


def is_orphan(bytecode: Path) -> bool:
    """Tell whether a file of bytecode has lost its source, without which Python does not read it."""
    return not (bytecode.parent.parent / f"{bytecode.name.partition('.')[0]}.py").exists()


def may_strip(path: Path) -> bool:
    """Tell whether a path is a library's; those of CUDA stay as their maker signed and tested them."""
    return path.is_file() and not path.is_symlink() and "nvidia" not in path.parts


def strip(path: Path) -> int:
    """Write a shared library anew without what nothing loads; return the bytes that went."""
    content = path.read_bytes()
    slim = without_tables(content)
    if len(content) - len(slim) < LEAST_GAIN_BYTES:
        return 0
    fresh = path.with_name(f".{path.name}.slim")
    fresh.write_bytes(slim)
    shutil.copymode(path, fresh)
    fresh.replace(path)
    return len(content) - len(slim)


def correct(record: Path) -> None:
    """Take what is gone out of a package's record of its files, and the digests of slim libraries."""
    kept = []
    with record.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    for name, digest, size in rows:
        path = record.parent.parent / name
        if path.exists():
            same = not size or path.stat().st_size == int(size)
            kept.append([name, digest, size] if same else [name, "", ""])
    if kept != rows:
        with record.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(kept)


def without_tables(content: bytes) -> bytes:
    """Return a shared library without the sections at its end that are not loaded; anything else as it is.

    What is loaded keeps its place, and its section headers, by which profilers find the dynamic symbols.
    """
    if not content.startswith(MAGIC):
        return content
    head = list(HEAD.unpack_from(content))
    segments_at, sections_at, segments, sections, names_at = head[5], head[6], head[10], head[12], head[13]
    if not sections:
        return content
    table = [list(SECTION.unpack_from(content, sections_at + n * SECTION.size)) for n in range(sections)]
    loaded = [number for number, section in enumerate(table) if section[2] & IS_LOADED]
    if loaded != list(range(1, len(loaded) + 1)):
        return content  # symbols name sections by their numbers, which must not change
    end = segments_at + segments * SEGMENT.size
    for number in range(segments):
        segment = SEGMENT.unpack_from(content, segments_at + number * SEGMENT.size)
        end = max(end, segment[2] + segment[5])
    names = table[names_at]
    text = content[names[4] : names[4] + names[5]]
    names[4] = end
    begin = -(-(end + len(text)) // 8) * 8
    kept = [*table[: len(loaded) + 1], names]
    head[6], head[12], head[13] = begin, len(kept), len(kept) - 1
    headers = b"".join(SECTION.pack(*section) for section in kept)
    return HEAD.pack(*head) + content[HEAD.size : end] + text.ljust(begin - end, b"\0") + headers


if __name__ == "__main__":
    main(sys.argv[1:])
