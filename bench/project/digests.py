"""Digests of a project's files, by which it is known what their user has changed."""

import hashlib
from pathlib import Path

# the text of a file, or the file that is copied
Content = bytes | Path


def sha256(content: Content) -> str:
    """The digest of a file or of its text, hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
