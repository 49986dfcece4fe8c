"""Connections to stores: their faults, and the longest answer that is not an object."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from serving_core.models.addresses import shown
from serving_core.models.sources import AccessRefused, Corrupt, Transient

# a description of an object, or an error: a few kilobytes
LONGEST_ANSWER_BYTES = 256 * 1024


class Adapter(HTTPAdapter):
    """Takes in a whole answer only up to a bound, and follows no redirect; if `direct`, it uses no proxy."""

    def __init__(self, *, direct: bool) -> None:
        super().__init__()
        self._direct = direct

    def send(self, request: Any, stream: bool = False, *args: Any, **settings: Any) -> requests.Response:
        """Send a request; an answer that is not an object's stream has arrived when this returns."""
        if self._direct:
            settings["proxies"] = {}
        answer = super().send(request, stream, *args, **settings)
        if answer.is_redirect:
            target = shown(answer.headers["Location"])
            answer.close()
            raise AccessRefused(f"the store redirects to {target}", "give the address of the store itself")
        if not stream or not answer.ok:
            body = answer.raw.read(LONGEST_ANSWER_BYTES + 1, decode_content=True)
            answer.raw.close()
            if answer.ok and len(body) > LONGEST_ANSWER_BYTES:
                raise Corrupt(f"its description is longer than {LONGEST_ANSWER_BYTES} bytes")
            answer.raw = io.BytesIO(body)
        return answer


@contextmanager
def connection_faults() -> Iterator[None]:
    """Turn the exceptions of requests and urllib3 into outcomes."""
    try:
        yield
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError) as error:
        raise Corrupt(f"the transfer ended early, {one_line(error)}") from None
    except (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        urllib3.exceptions.HTTPError,
    ) as error:
        raise Transient(one_line(error)) from None
    except requests.exceptions.InvalidHeader:  # this exception shows the whole header, which may be a secret
        raise AccessRefused("a header of the request is malformed") from None
    except requests.exceptions.InvalidSchema as error:  # of a proxy: an address's own is checked before
        raise AccessRefused(one_line(error), "set an http:// proxy, or name the host in NO_PROXY") from None
    except requests.exceptions.RequestException as error:
        raise AccessRefused(one_line(error)) from None


def one_line(error: Exception) -> str:
    """Return the cause in one line; for a failed connection, the last reason without the retries."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return shown(" ".join(str(cause or error).split()))[:200] or type(error).__name__
