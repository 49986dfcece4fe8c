"""A digest of what is sent and of what must come back, by which request sets with the same names differ."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.model import Payload


def payload_digests(sets: Mapping[tuple[str, str], Sequence[Payload]]) -> dict[str, str]:
    """The SHA-256 of each class over all encodings of it, in hex; keys of `sets` are class and encoding."""
    found = {name: hashlib.sha256() for name, _ in sets}
    for (name, _), payloads in sets.items():
        for part in _parts(payloads):
            found[name].update(part)
    return {name: one.hexdigest() for name, one in found.items()}


def _parts(payloads: Iterable[Payload]) -> Iterable[bytes]:
    """What is told of each payload, its body last, whose length keeps it apart from what follows."""
    for one in payloads:
        headers = sorted(one.headers.items())
        told = [one.encoding, one.method, one.path, one.content_type, headers, one.weight, len(one.body)]
        yield msgspec.json.encode([*told, one.reply, one.expect], order="deterministic")
        yield one.body
