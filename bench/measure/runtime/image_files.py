"""The files of an image: those that its containers see, those that later layers cover, and whose they are."""

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Union

from bench.model import Directory

SHOWN = 10
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
PACKAGES = ("site-packages", "dist-packages")
BELONGING = re.compile(r"(?P<name>[^-/]+)(-[^/]*\.(dist|egg)-info|\.libs)$")


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One entry of a layer: its path, whether it is a folder, and its bytes.

    `link` is the path of the same layer whose content this is another name of.
    """

    path: str
    folder: bool
    size: int
    link: str | None = None


@dataclass(slots=True)
class _Content:
    """What is behind a file's names; it lies in the image once, however many there are."""

    size: int
    names: int = 0


_Tree = dict[str, Union["_Tree", _Content]]


def entries_of(archive: Iterable[tarfile.TarInfo]) -> list[LayerEntry]:
    """The entries of a layer's archive; contents are not kept."""
    return [
        LayerEntry(
            _clean(member.name),
            member.isdir(),
            member.size if member.isfile() else 0,
            _clean(member.linkname) if member.islnk() else None,
        )
        for member in archive
    ]


def summed(layers: Iterable[Sequence[LayerEntry]]) -> tuple[tuple[Directory, ...], int]:
    """The largest directories of the final file system, and the bytes that later layers cover.

    Layers come lowest first; a whiteout removes what lower layers hold, and an opaque folder hides all that
    they hold in it (OCI image specification, "Whiteouts").
    """
    root: _Tree = {}
    wasted = 0
    for layer in layers:
        wasted += sum(_hidden(root, entry.path) for entry in layer)
        wasted += _laid_over(root, layer)
    return largest(root), wasted


def largest(root: _Tree) -> tuple[Directory, ...]:
    """The largest directories of a file system: installed packages, and other directories to a few levels."""
    sizes: dict[str, int] = defaultdict(int)
    seen: set[int] = set()
    for path, content in _files(root, ()):
        if id(content) not in seen:
            seen.add(id(content))
            sizes[owner(path, root)] += content.size
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Directory(path, size) for path, size in ordered[:SHOWN] if size)


def owner(path: Sequence[str], root: _Tree) -> str:
    """The directory that a file is counted under.

    An installed Python package is one, wherever it lies, with its metadata and the libraries beside it. Else
    it is two levels, three below /usr, one more below /usr/local.
    """
    for level, part in enumerate(path[:-1]):
        if part in PACKAGES:
            inside = path[level + 1] if level + 2 < len(path) else ""
            found = BELONGING.match(inside)
            if found and isinstance(_at(root, (*path[: level + 1], found["name"])), dict):
                inside = found["name"]
            return f"{part}/{inside}" if inside else part
    levels = 2 + (path[0] == "usr") + (path[:2] == ("usr", "local"))
    return "/".join(path[:-1][:levels]) or "/"


def _hidden(root: _Tree, path: str) -> int:
    """Remove what a whiteout hides; the bytes that are no longer visible."""
    *above, name = path.split("/")
    if name == OPAQUE:
        folder = _at(root, above)
        if not isinstance(folder, dict):
            return 0
        lost = sum(_dropped(node) for node in folder.values())
        folder.clear()
        return lost
    if not name.startswith(WHITEOUT):
        return 0
    folder = _at(root, above)
    gone = folder.pop(name.removeprefix(WHITEOUT), None) if isinstance(folder, dict) else None
    return 0 if gone is None else _dropped(gone)


def _laid_over(root: _Tree, layer: Sequence[LayerEntry]) -> int:
    """Put a layer's files in; the bytes of those that they replace."""
    lost = 0
    own: dict[str, _Content] = {}
    for entry in layer:
        *above, name = entry.path.split("/")
        if not name or name.startswith(WHITEOUT):
            continue
        folder = root
        for part in above:
            node = folder.get(part)
            if not isinstance(node, dict):
                lost += 0 if node is None else _dropped(node)
                node = folder[part] = {}
            folder = node
        before = folder.get(name)
        if entry.folder:
            if not isinstance(before, dict):
                lost += 0 if before is None else _dropped(before)
                folder[name] = {}
            continue
        lost += 0 if before is None else _dropped(before)
        content = (own.get(entry.link) if entry.link is not None else None) or _Content(entry.size)
        content.names += 1
        folder[name] = own[entry.path] = content
    return lost


def _dropped(node: "_Tree | _Content") -> int:
    """Remove one name of every file below a node; the bytes of the files that have no name left."""
    if isinstance(node, dict):
        return sum(_dropped(below) for below in node.values())
    node.names -= 1
    return 0 if node.names else node.size


def _at(root: _Tree, path: Sequence[str]) -> "_Tree | _Content | None":
    node: _Tree | _Content | None = root
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _files(tree: _Tree, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Content]]:
    for name, node in tree.items():
        if isinstance(node, dict):
            yield from _files(node, (*above, name))
        else:
            yield (*above, name), node


def _clean(path: str) -> str:
    """A path from the root, without its mark; "" for the root itself."""
    return "" if path == "." else path.removeprefix("./").strip("/")
