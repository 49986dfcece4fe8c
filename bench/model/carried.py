"""What an image carries beside the code of its service: packages, each with the licence that it states."""

from dataclasses import dataclass
from typing import Literal

PackageKind = Literal["python", "debian", "model"]


@dataclass(frozen=True, slots=True)
class CarriedPackage:
    """A package and its licence as its own files state it, None if they do not.

    `text_at` is where the whole text of a licence lies if no short name is stated, None if it lies nowhere.
    """

    kind: PackageKind
    name: str
    version: str | None
    licence: str | None
    text_at: str | None = None
