"""Text that a run brought along, made harmless: it may come from a stranger's pull request."""

import re

# what no XML may hold, what moves a terminal's cursor or ends a line, what is not seen or is of private use,
# and what turns the direction of writing: control, format and private characters but the word joiner
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    "\u2028-\u202e\u2061-\u2064\u2066-\u206f\ud800-\uf8ff\ufeff\ufff9-\ufffb\ufffe\uffff\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
# a runner of GitHub's takes a line that begins so, or that has the older form anywhere, for a command
_COMMAND = re.compile(r"(?<!\S)::(?=[A-Za-z])|##(?=\[)")
_MARK = "\N{REPLACEMENT CHARACTER}"
_JOINER = "\N{WORD JOINER}"
# a name after @, a number after # or GH-, and an address are links to GitHub wherever they stand
_LINKING = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=GH-)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
# what Markdown takes for a mark, with the hashes that close a heading; an underscore within a word and a
# backslash before a letter are none
_MARKDOWN = re.compile(
    r"[*`~\[]|(?<=\])[(\[:]|(?<![^\W_])_|_(?![^\W_])|\\(?=[!-/:-@\[-`{-~]|$)|(?<!\S)#(?=#*\s*$)"
)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_BLOCK = re.compile(r"(?:#{1,6}|[-+>]|(?P<number>\d{1,9})[.)])(?=\s|$)|>|[-=]{2,}\s*$|[-+]{3}")


def printable(text: str) -> str:
    """The text with a mark in place of each character that acts, but tab and newline; as long as it was."""
    return _COMMAND.sub(lambda found: found[0][0] + _MARK, _UNPRINTABLE.sub(_MARK, text))


def flat(text: str) -> str:
    """The same in one line, as long as it was."""
    return printable(text).replace("\n", " ").replace("\t", " ")


def one_line(text: str) -> str:
    """The same in one line, with single spaces."""
    return " ".join(printable(text).split())


def shortened(text: str, most: int = 1000) -> str:
    """The same in at most so many characters: the begin and the end, which has the remedy."""
    line = one_line(text)
    half = most // 2
    # what is cut may begin a line that acts
    return line if len(line) <= most else one_line(f"{line[:half]} \N{HORIZONTAL ELLIPSIS} {line[-half:]}")


def in_markdown(text: str) -> str:
    """A line of Markdown that shows the text as it is: nothing in it is a mark, a tag, a link or code."""
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", _marks_escaped(text)))


def without_links(text: str) -> str:
    """The same for a comment on GitHub: neither is there a mention, or an address that becomes a link."""
    escaped = _marks_escaped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKING.sub(_JOINER, escaped)


def not_a_block(line: str) -> str:
    """A line of Markdown that begins a paragraph or an item, and no heading, list or quotation."""
    found = _BLOCK.match(line)
    if found is None:
        return line
    digits = found["number"] or ""
    return f"{digits}\\{line[len(digits) :]}"


def _marks_escaped(text: str) -> str:
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", flat(text))
