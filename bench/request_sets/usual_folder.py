"""Where the request set of a project is, unless somebody names another folder."""

from pathlib import Path

REQUESTS = "requests"
IMAGES = "images"
WHERE = f"{REQUESTS}/ of the root, or {IMAGES}/ if there is none"


def usual_folder(root: Path) -> Path:
    """requests/ of the root, where the commands that make a set write it; else images/, if that is there."""
    found = (name for name in (REQUESTS, IMAGES) if (root / name).is_dir())
    return root / next(found, REQUESTS)
