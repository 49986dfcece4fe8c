"""Model addresses: what of one may be shown, and what its path names."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from serving_core.errors import StoreError

# Within other words: the name and password before a host, and whatever follows a path.
_SECRETS = re.compile(r"(?<=//)[^/?#\s]*@|[?#][^\s'\")]+")


def parse(uri: str) -> SplitResult:
    """Take an address apart; raises StoreError for one that is malformed."""
    try:
        return urlsplit(uri)
    except ValueError:
        raise StoreError(
            "the model's address is malformed: give gs://bucket/name, file:///path or https://host/path"
        ) from None


def shown(text: str) -> str:
    """Return an address, or a text with addresses in it, without their user info, queries and fragments."""
    return _SECRETS.sub("", text)


def file_name(uri: str) -> str:
    """Return the name of the file at an address, from its path alone."""
    return unquote(parse(uri).path).rpartition("/")[2]


def beside(uri: str, name: str) -> str:
    """Return the address of the file `name` in the same folder."""
    parts = parse(uri)
    return parts._replace(path=f"{parts.path.rpartition('/')[0]}/{name}").geturl()
