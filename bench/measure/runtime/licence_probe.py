"""Which packages are here, and under which licences: run by the Python of an image, which has no bench.

It prints a JSON list of `kind`, `name`, `version`, `licence` and `text_at`, and reads nothing but the
packages' own metadata. It imports the standard library alone, and runs as `python -c` with this file's text.
"""

import json
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

# longer than any short name or expression, and shorter than the text of a licence
MOST_CHARACTERS = 120
DOCS = "usr/share/doc"
MACHINE_READABLE = re.compile(r"\AFormat(-Specification)?:.*copyright-format", re.IGNORECASE)
Found = dict[str, "str | None"]


def python_packages(paths: list[str]) -> Iterator[Found]:
    """The distributions in these folders, each once."""
    seen = set()
    for one in metadata.distributions(path=paths):
        told = one.metadata
        name = told["Name"]
        if not name or name.lower() in seen:
            continue
        seen.add(name.lower())
        classifiers = told.get_all("Classifier") or []
        found = stated(told["License-Expression"], told["License"], classifiers)
        yield package("python", name, one.version, found)


def stated(expression: "str | None", field: "str | None", classifiers: "list[str]") -> "str | None":
    """The licence by the first of these that names one; a whole text in the field is not a name."""
    for text in (expression, field):
        line = (text or "").strip()
        if line and line.upper() != "UNKNOWN" and "\n" not in line and len(line) <= MOST_CHARACTERS:
            return line
    names = [one.split(" :: ")[-1] for one in classifiers if one.startswith("License :: ")]
    return "; ".join(name for name in names if name != "OSI Approved") or None


def debian_packages(root: Path) -> Iterator[Found]:
    """The packages that dpkg has installed below the root, also where each has a status file of its own."""
    files = [root / "var/lib/dpkg/status", *sorted((root / "var/lib/dpkg/status.d").glob("*"))]
    for file in files:
        if not file.is_file() or file.suffix == ".md5sums":
            continue
        for stanza in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            told = dict(re.findall(r"^(\S+): (.+)$", stanza, re.MULTILINE))
            name, status = told.get("Package"), told.get("Status", "install ok installed")
            if name and status.endswith(" installed"):
                at = "/" + DOCS + "/" + name + "/copyright"
                text = copyright_of(root / DOCS / name / "copyright")
                names = None if text is None else short_names(text)
                at_most = None if text is None or names else at
                yield package("debian", name, told.get("Version"), names, at_most)


def copyright_of(file: Path) -> "str | None":
    """The text of a copyright file, None if there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def short_names(text: str) -> "str | None":
    """The licences that a machine-readable copyright file names, each once; None for another file."""
    if not MACHINE_READABLE.match(text):
        return None
    names = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)
    return ", ".join(dict.fromkeys(name.strip() for name in names)) or None


def interpreter() -> Found:
    """Python itself: it states no short name, and its licence's text lies where its builder put it."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    places = [stdlib / "LICENSE.txt", Path("/") / DOCS / stdlib.name / "copyright"]
    text = next((str(place) for place in places if place.is_file()), None)
    return package("python", "Python", platform.python_version(), None, text)


def package(
    kind: str, name: str, version: "str | None", licence: "str | None", text_at: "str | None" = None
) -> Found:
    """A package as it is printed."""
    return {"kind": kind, "name": name, "version": version, "licence": licence, "text_at": text_at}


if __name__ == "__main__":
    found = [interpreter(), *python_packages(sys.path)]
    if sys.argv[1:] != ["python"]:
        found += debian_packages(Path("/"))
    json.dump(found, sys.stdout)
