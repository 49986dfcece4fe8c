"""The types of arguments: each function turns a word of the command line into a value.

Each raises ArgumentTypeError, which says what the word should have been. Numbers are read by
`bench.model.from_outside` alone: ASCII digits without signs, spaces or underscores.
"""

import argparse
import math
import re
import unicodedata
from pathlib import Path

from bench.cores import parse_cores
from bench.errors import UsageError
from bench.model.from_outside import NAME_RULE, decimal_number, is_line, is_name, whole_number

MOST_RATE = 100_000
MOST_WEIGHT = 1e6
MOST_WORKERS = 64
# of rounds, clients, starts: more would take years, or all of this machine's memory
MOST_COUNT = 10_000
MOST_BODY_BYTES = 1 << 30
# of an axis of an input that varies, and of the axes that one may have
MOST_SIZE = 1 << 20
MOST_AXES = 8
WORKER_PORT = 5557
CURRENCIES = "$\N{EURO SIGN}\N{POUND SIGN}\N{YEN SIGN}"
PRICE = re.compile(rf"[{CURRENCIES}]?(?P<amount>[0-9.]+)(?: ?[{CURRENCIES}])?")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


def name(text: str) -> str:
    """The name of a strategy, as a run may have it."""
    if not is_line(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name: write one line of printable characters")
    return text


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, without repetitions."""
    names = tuple(dict.fromkeys(name(part.strip()) for part in text.split(",") if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("name at least one, separated by commas")
    return names


def weights(text: str) -> tuple[tuple[str, float], ...]:
    """Classes of requests with their weights: `small=9,large=1`."""
    found: dict[str, float] = {}
    for part in names(text):
        one, sign, number = part.rpartition("=")
        weight = decimal_number(number)
        if not sign or not is_name(one.strip()) or weight is None or not 0 < weight <= MOST_WEIGHT:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a class with its weight: write small=9,large=1"
            )
        if one.strip() in found:
            raise argparse.ArgumentTypeError(f"{one.strip()} comes twice: name each class once")
        found[one.strip()] = weight
    return tuple(found.items())


def path(text: str) -> Path:
    """A file or folder."""
    if not text.strip() or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a path: write one without control characters")
    return Path(text)


def commit(text: str) -> str:
    """What names a commit; git would take a text with a dash in front for an option of its own."""
    if not is_line(text) or text[0] in "- ":
        raise argparse.ArgumentTypeError(f"{text!r} is not a commit: name a branch, a tag or a commit")
    return text


def cores(text: str) -> str:
    """A list of cores such as `0,2-3`, as it was written."""
    try:
        parse_cores(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def positive(text: str) -> int:
    """A whole number above 0."""
    number = whole_number(text)
    if number is None or not 1 <= number <= MOST_COUNT:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to {MOST_COUNT}")
    return number


def positives(text: str) -> tuple[int, ...]:
    """Whole numbers above 0, separated by commas."""
    return tuple(dict.fromkeys(positive(part) for part in names(text)))


def body_bytes(text: str) -> int:
    """The length of a request's body."""
    number = whole_number(text)
    if number is None or not 1 <= number <= MOST_BODY_BYTES:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bytes from 1 to {MOST_BODY_BYTES}")
    return number


def seed(text: str) -> int:
    """What a shuffled order follows from."""
    number = whole_number(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 on, of 15 digits at most")
    return number


def workers(text: str) -> int:
    """The number of driver processes on this host, at least 1."""
    workers = remote_workers(text)
    if workers < 1:
        raise argparse.ArgumentTypeError("at least one driver process is needed on this host")
    return workers


def remote_workers(text: str) -> int:
    """The number of driver processes on other hosts."""
    number = whole_number(text)
    if number is None or number > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is not a number of workers from 0 to {MOST_WORKERS}")
    return number


def rates(text: str) -> tuple[float, ...]:
    """Rates in requests a second, separated by commas."""
    rates = []
    for part in names(text):
        rate = decimal_number(part)
        if rate is None or not 0 < rate <= MOST_RATE:
            raise argparse.ArgumentTypeError(f"{part} is not a rate above 0 and up to {MOST_RATE} a second")
        rates.append(rate)
    return tuple(dict.fromkeys(rates))


def shares(text: str) -> tuple[float, ...]:
    """Percentages above 0% and up to 200%, separated by commas, as shares."""
    shares = [share(part) for part in names(text)]
    if not all(0 < share <= 2 for share in shares):
        raise argparse.ArgumentTypeError(f"{text} are not shares of capacity above 0% and up to 200%")
    return tuple(dict.fromkeys(shares))


def share(text: str) -> float:
    """A percentage as a share: `50%` is 0.5."""
    percent = decimal_number(text[:-1]) if text.endswith("%") else None
    if percent is None or percent > 200:
        raise argparse.ArgumentTypeError(f"{text} is not a percentage from 0% to 200%, such as 50%")
    return percent / 100


def bound(quantile: float, text: str) -> tuple[float, float]:
    """The quantile and its bound, a time such as `100ms`, in milliseconds."""
    return quantile, milliseconds(text)


def milliseconds(text: str) -> float:
    """A time such as `100ms` or `1.5s`, in milliseconds."""
    unit = "ms" if text.endswith("ms") else "s"
    number = decimal_number(text.removesuffix(unit).rstrip(" ")) if text.endswith(unit) else None
    value = 0.0 if number is None else number * (1.0 if unit == "ms" else 1e3)
    if not 0 < value <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0 and up to 60 s, such as 100ms")
    return value


def host(text: str) -> str:
    """A host: its name or its IPv4 address."""
    if not HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text} is not an IPv4 address or a host's name")
    return text


def address(text: str) -> tuple[str, int]:
    """A host and its port; without a port, that of workers."""
    first, colon, last = text.rpartition(":")
    if ":" in first:
        raise argparse.ArgumentTypeError(f"{text} is not an IPv4 address or a name, with or without :PORT")
    return (host(first), port(last)) if colon else (host(text), WORKER_PORT)


def port(text: str) -> int:
    """A port."""
    number = whole_number(text)
    if number is None or not 0 < number < 65_536:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 1 to 65535")
    return number


def price(text: str) -> float:
    """A price above 0; a sign of its currency is left out, as no report names any."""
    bare = PRICE.fullmatch(text)
    price = decimal_number(bare["amount"]) if bare else None
    if price is None or not 0 < price < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a price above 0 and below a million")
    return price


def tolerance(text: str) -> float:
    """A difference of probabilities from 0 to 1."""
    value = decimal_number(text)
    if value is None or value > 1:
        raise argparse.ArgumentTypeError(f"{text} is not a difference of probabilities from 0 to 1")
    return value


def distance(text: str) -> float:
    """How far a number may be off: from 0 on."""
    value = decimal_number(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on, such as 1e-3")
    return value


def json_pointer(text: str) -> str:
    """A place in a JSON answer."""
    if not is_line(text) or not text.startswith("/"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a place of a JSON answer, such as /id or /items/*/id"
        )
    return text


def count(text: str) -> int:
    """A whole number from 0 on."""
    number = whole_number(text)
    if number is None or number > MOST_COUNT:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 to {MOST_COUNT}")
    return number


def count_s(text: str) -> float:
    """A number of seconds from 0 to an hour."""
    seconds = decimal_number(text)
    if seconds is None or seconds > 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to 3600")
    return seconds


def seconds(text: str) -> float:
    """A number of seconds above 0, up to an hour; of less than a millisecond nothing can be said."""
    seconds = count_s(text)
    if seconds < 0.001:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0.001 on")
    return seconds


def payload_class(text: str) -> str:
    """The name of a class of requests."""
    if not is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot name a class: {NAME_RULE}")
    return text


def input_ranges(text: str) -> tuple[str, tuple[tuple[float, float], ...]]:
    """An input's name, and its least and most value: `tokens=0:1000`, or of each column `x=-5:10,0:1`."""
    before, sign, after = text.rpartition("=")
    ranges = tuple(found for part in after.split(",") if (found := _range(part)) is not None)
    if not sign or not is_line(before) or len(ranges) < len(after.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is not an input's range, such as tokens=0:1000")
    return before, ranges


def _range(text: str) -> tuple[float, float] | None:
    least, most = (_signed(part) for part in text.partition(":")[::2])
    return (least, most) if least is not None and most is not None and least < most else None


def _signed(text: str) -> float | None:
    value = decimal_number(text.removeprefix("-"))
    return value if value is None or not text.startswith("-") else -value


def input_sizes(text: str) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """An input's name and its sizes from small to large: `tokens=8,64`, `image=320x240,1280x960`."""
    before, sign, after = text.rpartition("=")
    sizes = tuple(tuple(whole_number(size) or 0 for size in part.split("x")) for part in after.split(","))
    fits = all(len(each) <= MOST_AXES and 0 < min(each) <= max(each) <= MOST_SIZE for each in sizes)
    areas = [math.prod(each) for each in sizes]
    if not sign or not is_line(before) or not fits or sorted(set(areas)) != areas:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an input's sizes from small to large, such as tokens=8,64 or image=32x32,64x64"
        )
    return before, sizes
