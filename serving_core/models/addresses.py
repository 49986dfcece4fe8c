"""Model addresses: what of one may be shown, and what its path names."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from serving_core.errors import StoreError

# Of a text that is to be one address: a password may hold what none may, so the last @ ends it.
_USER_INFO = re.compile(r"^(.*?//)?.*@", re.DOTALL)
# Within other words: the name and password before a host, though there be a slash in it; whatever follows a
# path; a token.
_SECRETS = re.compile(
    r"(?<=//)(?:[^/?#\s]*@|[^/?#\s:@]+:\S*@)|[?#][^\s'\")]+|(?<=Bearer )\s*[^\s'\"]+", re.IGNORECASE
)


def parse(uri: str) -> SplitResult:
    """Take an address apart; raises StoreError for one that is malformed."""
    try:
        return urlsplit(uri)
    except ValueError:
        raise StoreError(
            f"{shown_whole(uri)} is malformed: give gs://bucket/name, file:///path or https://host/path"
        ) from None


def shown(text: str) -> str:
    """Return an address, or a text with addresses in it, without user info, queries, fragments and tokens."""
    return _SECRETS.sub("", text)


def shown_whole(text: str) -> str:
    """Return a text that is to be one address, however malformed, without what may be secret in it."""
    return shown(_USER_INFO.sub(r"\1", text))


def file_name(uri: str) -> str:
    """Return the name of the file at an address, from its path alone."""
    return unquote(parse(uri).path).rpartition("/")[2]


def beside(uri: str, name: str) -> str:
    """Return the address of the file `name` in the same folder."""
    parts = parse(uri)
    return parts._replace(path=f"{parts.path.rpartition('/')[0]}/{name}").geturl()
