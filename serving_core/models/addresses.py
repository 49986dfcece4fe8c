"""Model addresses: their parts that may be shown, and the file that their path names."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from serving_core.errors import StoreError

# In a text that should be one address: a malformed password may hold any character, so the last @ ends it.
_USER_INFO = re.compile(r"^(.*?//)?.*@", re.DOTALL)
# In a text with other words: the name and password before a host, even with a slash in them; what follows a
# path; a token.
_SECRETS = re.compile(
    r"(?<=//)(?:[^/?#\s]*@|[^/?#\s:@]+:\S*@)|[?#][^\s'\")]+|(?<=Bearer )\s*[^\s'\"]+", re.IGNORECASE
)


# hosts that are this machine
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def parse(uri: str) -> SplitResult:
    """Split an address into its parts; raises StoreError if it is malformed."""
    try:
        return urlsplit(uri)
    except ValueError:
        raise StoreError(
            f"{shown_whole(uri)} is malformed: give gs://bucket/name, file:///path or https://host/path"
        ) from None


def is_web(parts: SplitResult) -> bool:
    """Tell whether a file may be fetched at a web address: by https, or by http from this machine."""
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return encrypted and bool(parts.hostname)


def shown(text: str) -> str:
    """Return a text without the user info, queries, fragments and tokens of the addresses in it."""
    return _SECRETS.sub("", text)


def shown_whole(text: str) -> str:
    """Return a text that should be an address, malformed or not, without the parts that may be secret."""
    return shown(_USER_INFO.sub(r"\1", text))


def file_name(uri: str) -> str:
    """Return the name of the file at an address: the last part of the path."""
    return unquote(parse(uri).path).rpartition("/")[2]


def beside(uri: str, name: str) -> str:
    """Return the address of the file `name` in the same folder."""
    parts = parse(uri)
    return parts._replace(path=f"{parts.path.rpartition('/')[0]}/{name}").geturl()
