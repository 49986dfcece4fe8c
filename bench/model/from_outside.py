"""Names and numbers as people and files write them: one function reads each kind, and refuses the rest."""

import math
import re

MOST_LINE = 120
"""The most characters of a title."""

MOST_NAME = 64
MOST_PATH = 1024
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MOST_NAME - 1}}}")
NAME_RULE = "use 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit"
# what a request's first line may have as its path: no space, no control character, nothing but ASCII
PATH = re.compile(rf"/[!-~]{{0,{MOST_PATH - 1}}}")
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OWN_HEADERS = frozenset(
    {
        *("host", "content-length", "content-type", "transfer-encoding", "connection"),
        *("expect", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"),
    }
)
"""What a request itself says of its body and its connection, in small letters: nobody else may set it."""

# in all scripts there are digits, and Python takes them for its own: these are the only ones here
DIGITS = re.compile(r"[0-9]{1,15}")
DECIMAL = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?")


def is_name(text: str) -> bool:
    """Whether a text may name a strategy, a class of payloads or a model.

    Such a name is safe in a file's name, a volume's, a table of any format, a formula and a terminal.
    """
    return NAME.fullmatch(text) is not None


def is_line(text: str) -> bool:
    """Whether a text is one line of printable characters, neither empty nor longer than a title may be."""
    return text.isprintable() and bool(text.strip()) and len(text) <= MOST_LINE


def is_http_path(text: str) -> bool:
    """Whether a text may be the path of a request."""
    return PATH.fullmatch(text) is not None


def is_header(text: str) -> bool:
    """Whether a text may be the name of a header."""
    return HEADER.fullmatch(text) is not None


def whole_number(text: str) -> int | None:
    """The whole number that up to 15 digits write; None for a sign, a space or anything else."""
    return int(text) if DIGITS.fullmatch(text) else None


def decimal_number(text: str) -> float | None:
    """The finite number from 0 on that a text writes, such as `2`, `.5` or `1e-3`; None for anything else."""
    value = float(text) if DECIMAL.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None
