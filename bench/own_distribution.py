"""The distribution that this code was installed from, if it runs from no checkout."""

from importlib import metadata
from pathlib import Path

NAME = "model-serving-bench"
# the list of files that only an installer writes; a build leaves metadata in a checkout too
INSTALLED = "RECORD"


def own_distribution() -> metadata.Distribution | None:
    """What is installed, if this very file belongs to it; None in a checkout, whose commit says more."""
    try:
        found = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return None
    is_this = Path(str(found.locate_file("bench"))).resolve() == Path(__file__).parent.resolve()
    return found if is_this and found.read_text(INSTALLED) is not None else None
