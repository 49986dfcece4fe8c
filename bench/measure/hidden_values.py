"""Keeps the values of headers and queries out of what is shown of a service's answers."""

import json
import re
from dataclasses import replace
from itertools import takewhile
from urllib.parse import unquote_plus

from bench.load.reaching import headers_of
from bench.model import Access

MARK = "<hidden>"
# what begins like a value is a part of it, cut off
BEGINNING = 6
# less is no secret, and stands in many texts
LEAST = 4
LEAST_KEY = 12


def without_values(text: str, access: Access) -> str:
    """The text with a mark for each value of the access's headers and of its query, and for its beginnings.

    A service may send back what it was sent, and a text of its answer may end within a value.
    """
    secrets = _secrets(access)
    if not secrets:
        return text
    begins = re.compile("|".join({re.escape(one[:BEGINNING]) for one in secrets}))
    shown, place = "", 0
    while found := begins.search(text, place):
        at = found.start()
        shown += text[place:at] + MARK
        place = at + max(_in_common(text[at : at + len(one)], one) for one in secrets)
    return shown + text[place:]


def holds_value(text: str, access: Access) -> bool:
    """Whether a text has a value of the access's headers in it, whole, or the whole of one of its words.

    Of the query, that is a value that is as long as keys are: others, such as a model's name, are no secret.
    """
    headers = _secrets(replace(access, query=""))
    keys = [one for one in _of_query(access.query) if len(one) >= LEAST_KEY]
    return any(one in text for one in (*headers, *keys))


def _in_common(text: str, other: str) -> int:
    """How many characters the two begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False)))


def _secrets(access: Access) -> list[str]:
    """The values as they are and as JSON has them, then their words without a scheme such as Bearer."""
    values = [*headers_of(access).values(), *_of_query(access.query)]
    quoted = [json.dumps(value)[1:-1] for value in values]
    words = [word for value in (*values, *quoted) for word in value.split()[1:]]
    return [one for one in dict.fromkeys([*values, *quoted, *words]) if len(one) >= LEAST]


def _of_query(query: str) -> list[str]:
    """The values of a query, a query without names being one, as they are sent and as they are meant."""
    parts = (part.partition("=") for part in query.split("&"))
    sent = [value if sign else name for name, sign, value in parts]
    return [*sent, *map(unquote_plus, sent)]
