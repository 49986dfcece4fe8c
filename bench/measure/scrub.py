"""What a run's texts must not tell: this machine's folders and its name."""

import platform
import re
import tempfile
from collections.abc import Callable
from pathlib import Path


def make_scrubber(root: Path) -> Callable[[str], str]:
    """A function that puts names of their own in place of the repository, temporary, home folder and host."""
    folders = {str(root.resolve()): ".", str(Path.cwd()): ".", tempfile.gettempdir(): "<tmp>"}
    folders |= {str(Path("~").expanduser()): "~"}
    names = {re.escape(folder): name for folder, name in folders.items() if len(folder) > 1}
    patterns = [(re.compile(rf"{found}(?=/|\W|$)"), names[found]) for found in sorted(names, key=len)[::-1]]
    host = platform.node()
    patterns += [(re.compile(rf"(?<![\w-]){re.escape(host)}(?![\w-])"), "<host>")] if host else []

    def scrub(text: str) -> str:
        for pattern, name in patterns:
            text = pattern.sub(name, text)
        return text

    return scrub
