"""Where the harness that runs here was installed from, so that a project's workflow can install the same."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bench.own_distribution import own_distribution
from bench.project.digests import sha256

WHEEL = ".whl"
# what pip writes of a package that came from no index
ORIGIN = "direct_url.json"
GIT, LOCAL = "git", "git+file:"


def own_wheel() -> Path | None:
    """The wheel that this is installed from, if it was a file, and that still is there as it was."""
    told = _origin()
    parts = urlsplit(str(told.get("url", "")))
    file = Path(unquote(parts.path))
    if parts.scheme != "file" or file.suffix != WHEEL or not file.is_file():
        return None
    expected = told.get("archive_info", {}).get("hashes", {}).get("sha256")
    return file if expected in (None, sha256(file)) else None


def own_address() -> str | None:
    """What pip installs this very commit from if it came out of a git repository: git+URL@COMMIT.

    If it came out of a folder of that repository, the address names the folder.
    """
    told = _origin()
    commit = told.get("vcs_info", {})
    if commit.get("vcs") != GIT:
        return None
    within = f"#subdirectory={quote(told['subdirectory'])}" if told.get("subdirectory") else ""
    return f"{GIT}+{told['url']}@{commit['commit_id']}{within}"


def _origin() -> dict[str, Any]:
    found = own_distribution()
    told: dict[str, Any] = json.loads(found.read_text(ORIGIN) or "{}") if found else {}
    return told
