"""The types of arguments: each function turns a word of the command line into a value.

Each raises ArgumentTypeError, which says what the word should have been.
"""

import argparse
import re

MOST_RATE = 100_000
MOST_WORKERS = 64
WORKER_PORT = 5557


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, without repetitions."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("name at least one, separated by commas")
    return names


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)


def positives(text: str) -> tuple[int, ...]:
    """Whole numbers above 0, separated by commas."""
    return tuple(dict.fromkeys(positive(part) for part in names(text)))


def workers(text: str) -> int:
    """The number of driver processes on this host, at least 1."""
    workers = remote_workers(text)
    if workers < 1:
        raise argparse.ArgumentTypeError("at least one driver process is needed on this host")
    return workers


def remote_workers(text: str) -> int:
    """The number of driver processes on other hosts."""
    if not text.isdigit() or int(text) > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is not a number of workers from 0 to {MOST_WORKERS}")
    return int(text)


def rates(text: str) -> tuple[float, ...]:
    """Rates in requests a second, separated by commas."""
    rates = []
    for part in names(text):
        rate = number(part)
        if not 0 < rate <= MOST_RATE:
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
    share = number(text[:-1]) / 100 if text.endswith("%") else -1.0
    if not 0 <= share <= 2:
        raise argparse.ArgumentTypeError(f"{text} is not a percentage, such as 50%")
    return share


def bound(quantile: float, text: str) -> tuple[float, float]:
    """The quantile and its bound, a time such as `100ms`, in milliseconds."""
    return quantile, milliseconds(text)


def milliseconds(text: str) -> float:
    """A time such as `100ms` or `1.5s`, in milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip())
    value = float(match.group(1)) * (1e3 if match.group(2) == "s" else 1.0) if match else 0.0
    if not 0 < value <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0 and up to 60 s, such as 100ms")
    return value


def address(text: str) -> tuple[str, int]:
    """A host and its port; without a port, that of workers."""
    host, colon, last = text.rpartition(":")
    if ":" in host:
        raise argparse.ArgumentTypeError(f"{text} is not an IPv4 address or a name, with or without :PORT")
    return (host, port(last)) if colon else (text, WORKER_PORT)


def port(text: str) -> int:
    """A port."""
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 1 to 65535")
    return int(text)


def price(text: str) -> float:
    """A price above 0."""
    price = number(text)
    if not 0 < price < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a price above 0")
    return price


def tolerance(text: str) -> float:
    """A difference of probabilities from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a difference of probabilities from 0 to 1")
    return value


def count(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number")
    return int(text)


def count_s(text: str) -> float:
    """A number of seconds from 0 to an hour."""
    seconds = number(text)
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to 3600")
    return seconds


def seconds(text: str) -> float:
    """A number of seconds above 0, up to an hour."""
    seconds = count_s(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return seconds


def number(text: str) -> float:
    """The number that the text holds; -1, which is below every bound, if it holds no number."""
    try:
        return float(text)
    except ValueError:
        return -1.0
