"""Text that a run brought along, made harmless: it may come from a stranger's pull request."""

import re

# what no XML may hold, what moves a terminal's cursor, and what turns the direction of writing
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_JOINER = "\N{WORD JOINER}"
# a name after @, a number after # or GH-, and an address are links to GitHub wherever they stand
_LINKING = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=GH-)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", "[": "&#91;"})


def printable(text: str) -> str:
    """The text with a replacement mark for each control character but tab and newline."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """The same in one line, with single spaces."""
    return " ".join(printable(text).split())


def without_links(line: str) -> str:
    """A line of Markdown that keeps its table and emphasis, and has no HTML, link, picture or mention."""
    flat = printable(line).replace("\n", " ").translate(_ENTITIES)
    return _LINKING.sub(_JOINER, flat)
