"""The licences of what images carry, as a table: a row for each package, with the images that it is in."""

from collections.abc import Mapping, Sequence

from bench.model.carried import CarriedPackage
from bench.report import cells
from bench.report.document import Column, Table, name_column, tabulated

NOT_STATED = "not stated"
KINDS = ("model", "python", "debian")
Carried = tuple[CarriedPackage, tuple[str, ...]]
"""A package, and the names of those that carry it."""


def grouped(carried: Mapping[str, Sequence[CarriedPackage]]) -> list[Carried]:
    """Each package once, by kind, licence and name, with the names of those that carry it, in order."""
    holders: dict[CarriedPackage, list[str]] = {}
    for name, packages in carried.items():
        for one in packages:
            holders.setdefault(one, []).append(name)
    ordered = sorted(holders, key=lambda one: (KINDS.index(one.kind), licence_text(one).lower(), one.name))
    return [(one, tuple(holders[one])) for one in ordered]


def licence_text(package: CarriedPackage) -> str:
    """The licence that the package states, or where its text lies."""
    if package.licence:
        return package.licence
    return f"see {package.text_at}" if package.text_at else NOT_STATED


def licence_table(found: Sequence[Carried]) -> Table:
    """The table of the packages."""
    return tabulated(
        found,
        {
            Column("kind", "text"): lambda one: cells.words(one[0].kind),
            name_column("package"): lambda one: cells.words(one[0].name),
            Column("version", "text"): lambda one: cells.words(one[0].version or ""),
            Column("in", "text"): lambda one: cells.words(", ".join(one[1])),
            Column("licence", "text"): lambda one: cells.words(licence_text(one[0])),
        }.items(),
    )
