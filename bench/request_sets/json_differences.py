"""Two JSON values: where they differ first, with tolerances for numbers and paths that do not count."""

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Path = tuple[str, ...]
ANY = "*"


def pointer_parts(pointer: str) -> Path:
    """The parts of a JSON pointer (RFC 6901); raises ValueError if it is none."""
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer: begin it with /")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def first_difference(
    expected: Any, tolerances: Mapping[str, float], ignore: Sequence[str]
) -> Callable[[Any], str]:
    """A function from a value to its first difference from what is expected, as a clause, or to "".

    A number may be off by the largest tolerance whose path fits its place; what lies at or below a path of
    `ignore` does not count. Raises ValueError for what is no JSON pointer.
    """
    allowed = [(pointer_parts(pointer), off) for pointer, off in tolerances.items()]
    passed_over = [pointer_parts(pointer) for pointer in ignore]

    def differs(value: Any) -> str:
        return next(_differences(expected, value, (), allowed, passed_over), "")

    return differs


def fits(pattern: Path, path: Path) -> bool:
    """Whether a path is one of those that the pattern names."""
    return len(pattern) == len(path) and all(
        one in (ANY, part) for one, part in zip(pattern, path, strict=True)
    )


def compares_anything(expected: Any, ignored: Sequence[Path], path: Path = ()) -> bool:
    """Whether a value has anything, were it only that a list in it is empty, at none of these places."""
    if any(fits(pattern, path) for pattern in ignored):
        return False
    inner = _inner(expected)
    if not inner and not isinstance(expected, dict | list):
        return True
    if not inner:
        # whatever an answer has in an empty one may be ignored too
        return not any(pattern and pattern[-1] == ANY and fits(pattern[:-1], path) for pattern in ignored)
    return any(compares_anything(one, ignored, (*path, name)) for name, one in inner)


def without(value: Any, ignored: Sequence[Path], path: Path = ()) -> Any:
    """The value with null at these places."""
    if any(fits(pattern, path) for pattern in ignored):
        return None
    if isinstance(value, dict):
        return {name: without(one, ignored, (*path, str(name))) for name, one in value.items()}
    if isinstance(value, list):
        return [without(one, ignored, (*path, str(place))) for place, one in enumerate(value)]
    return value


def numbers_at(value: Any, path: Path = ()) -> Iterator[Path]:
    """The places of a value's numbers."""
    if is_number(value):
        yield path
    for name, one in _inner(value):
        yield from numbers_at(one, (*path, name))


def _inner(value: Any) -> list[tuple[str, Any]]:
    """What lies in an object or a list, each with its part of the path."""
    if isinstance(value, dict):
        return [(str(name), one) for name, one in value.items()]
    return [(str(place), one) for place, one in enumerate(value)] if isinstance(value, list) else []


def _differences(
    expected: Any, value: Any, path: Path, allowed: Sequence[tuple[Path, float]], ignored: Sequence[Path]
) -> Iterator[str]:
    if any(fits(pattern, path) for pattern in ignored):
        return
    if isinstance(value, bytes):  # msgpack has them, JSON writes them so
        value = base64.b64encode(value).decode("ascii")
    if isinstance(expected, dict) and isinstance(value, dict):
        for name in {**expected, **value}:
            inner = (*path, str(name))
            if name in expected and name in value:
                yield from _differences(expected[name], value[name], inner, allowed, ignored)
            elif not any(fits(pattern, inner) for pattern in ignored):
                yield f"{_written(inner)} is {'missing' if name in expected else 'too much'}"
    elif isinstance(expected, list) and isinstance(value, list):
        if len(expected) != len(value):
            yield f"{_written(path)} has {len(value)} elements, not {len(expected)}"
            return
        for place, (one, other) in enumerate(zip(expected, value, strict=True)):
            yield from _differences(one, other, (*path, str(place)), allowed, ignored)
    elif is_number(expected) and is_number(value):
        off = max((most for pattern, most in allowed if fits(pattern, path)), default=0.0)
        # the distance of NaN is within no tolerance
        if not (value == expected or abs(value - expected) <= off):
            yield f"{_written(path)} is {value!r:.40} where {expected!r:.40} is right, {off:g} off at most"
    elif type(expected) is not type(value) or expected != value:
        yield f"{_written(path)} is {value!r:.60} where {expected!r:.60} is right"


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number and not NaN; Python takes true and false for numbers."""
    return type(value) in (int, float) and (type(value) is int or not math.isnan(value))


def _written(path: Path) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path) or "the whole answer"
