"""How far the floats of a JSON answer may be off, by their places."""

import base64
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.model.expectations import USUAL_ATOL, USUAL_RTOL
from bench.request_sets.json_differences import ANY, Path, fits, is_number, pointer_parts


def plain(value: Any) -> Any:
    """The value as JSON has it: bytes, which msgpack knows, in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def float_places(values: Iterable[Any]) -> dict[Path, float]:
    """The places of these JSON values that hold floats, each with the largest number there.

    The elements of a list have one place. A whole number is a float too if another value, or another element,
    has a float in its place: some writers write 1.0 as 1.
    """
    largest, found = dict[Path, float](), set[Path]()
    for value in values:
        for path, number in _numbers(value, ()):
            largest[path] = max(largest.get(path, 0.0), abs(number))
            if isinstance(number, float):
                found.add(path)
    return {path: most for path, most in largest.items() if path in found}


def _numbers(value: Any, path: Path) -> Iterator[tuple[Path, float]]:
    """Each finite number, and its place."""
    if is_number(value):
        if math.isfinite(value):
            yield path, value
        return
    for key, one in _inside(value):
        yield from _numbers(one, (*path, key))


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """What lies in an object or a list, each with its part of the place."""
    if isinstance(value, dict):
        yield from ((str(key), one) for key, one in value.items())
    elif isinstance(value, list):
        yield from ((ANY, one) for one in value)


def tolerances(
    value: Any, given: float | None, ignore: Sequence[str], places: Mapping[Path, float]
) -> dict[str, float]:
    """An absolute tolerance for each place of floats: the one given, or a share of the largest number there.

    `places` are those of the whole set's answers, by whose numbers a value near 0 is judged. The elements of
    a list have one place, and so have the values of an object that has nothing but floats. Other whole
    numbers must be the same. What is ignored needs none.
    """
    ignored, found = [pointer_parts(pointer) for pointer in ignore], dict[Path, float]()
    for written, usual in _usual(value, (), (), places):
        if not any(fits(pattern, written[: len(pattern)]) for pattern in ignored):
            found[written] = max(found.get(written, 0.0), usual)
    return {pointer(path): rounded_up(most) if given is None else given for path, most in found.items()}


def _usual(
    value: Any, place: Path, written: Path, places: Mapping[Path, float]
) -> Iterator[tuple[Path, float]]:
    """For each number in a place of floats the place, as it is written, and the tolerance that it needs."""
    if is_number(value):
        if place in places and math.isfinite(value):
            yield written, max(scaled_atol(places[place]), USUAL_RTOL * abs(value))
        return
    alike = isinstance(value, dict) and all(
        is_number(one) and (*place, str(key)) in places for key, one in value.items()
    )
    for key, one in _inside(value):
        yield from _usual(one, (*place, key), (*written, ANY if alike else key), places)


def scaled_atol(largest: float) -> float:
    """The absolute tolerance of numbers of which the largest is this: what is usual, or a share of it."""
    return min(USUAL_ATOL, USUAL_RTOL * largest) or USUAL_ATOL


def pointer(path: Sequence[str]) -> str:
    """The JSON pointer of a place."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def rounded_up(value: float) -> float:
    """The least number of two digits that is no less; `value` is above 0."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    near = math.ceil(value / unit)
    found = float(f"{near * unit:.1e}")
    return found if found >= value else float(f"{(near + 1) * unit:.1e}")


def differing(one: Any, other: Any, path: Path = ()) -> Iterator[tuple[Path, float | None]]:
    """Each place where two values differ, and how far: None if they are not two numbers."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {**one, **other}:
            if key in one and key in other:
                yield from differing(one[key], other[key], (*path, str(key)))
            else:
                yield (*path, str(key)), None
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differing(left, right, (*path, str(place)))
    elif is_number(one) and is_number(other):
        if one != other:
            yield path, abs(one - other)
    elif one != other or type(one) is not type(other):
        yield path, None


def compared(
    one: Any, other: Any, ignore: Sequence[str], tolerated: Iterable[str]
) -> list[tuple[Path, float | None]]:
    """The places that count in which two values differ, and how far: None if no tolerance holds there."""
    ignored, places = ([pointer_parts(pointer) for pointer in each] for each in (ignore, tolerated))
    return [
        (path, off if any(fits(pattern, path) for pattern in places) else None)
        for path, off in differing(one, other)
        if not any(fits(pattern, path[: len(pattern)]) for pattern in ignored)
    ]
