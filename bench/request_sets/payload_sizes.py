"""How large the files of each class are, before any encoding."""

import statistics
from collections.abc import Iterable, Sequence

from bench.model import PayloadSizes
from bench.request_sets.request_set import SetRequest, WholeBody


def payload_sizes(requests: Iterable[SetRequest], classes: Sequence[str]) -> dict[str, PayloadSizes]:
    """The sizes of each of the classes, without those that have a request of numbers or of several inputs."""
    mine: dict[str, list[tuple[int | None, bool]]] = {}
    for one in requests:
        if one.request_class in classes:
            mine.setdefault(one.request_class, []).append((_bytes(one), one.picture is not None))
    found = {}
    for name, told in mine.items():
        sizes = [size for size, _ in told if size is not None]
        if len(sizes) == len(told):
            median = int(statistics.median(sizes))
            found[name] = PayloadSizes(min(sizes), median, max(sizes), all(picture for _, picture in told))
    return found


def _bytes(request: SetRequest) -> int | None:
    """The length of what is sent, if it is one file."""
    if isinstance(request.body, WholeBody):
        return len(request.body.content)
    only = request.only_bytes
    return None if only is None else len(bytes(only.data[0]))
