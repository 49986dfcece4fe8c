"""How the command line's values are read: each function makes a word a value, or raises ArgumentTypeError."""

import argparse
import re

MOST_RATE = 100_000
MOST_WORKERS = 64
WORKER_PORT = 5557


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("name at least one, separated by commas")
    return names


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


def positives(text: str) -> tuple[int, ...]:
    """Such numbers, separated by commas."""
    return tuple(dict.fromkeys(positive(part) for part in names(text)))


def workers(text: str) -> int:
    """How many driver processes this host has: one at least."""
    workers = remote_workers(text)
    if workers < 1:
        raise argparse.ArgumentTypeError("at least one driver process is needed on this host")
    return workers


def remote_workers(text: str) -> int:
    """How many driver processes come from elsewhere."""
    if not text.isdigit() or int(text) > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is no number of workers from 0 to {MOST_WORKERS}")
    return int(text)


def rates(text: str) -> tuple[float, ...]:
    """Rates in requests a second, separated by commas."""
    rates = []
    for part in names(text):
        rate = number(part)
        if not 0 < rate <= MOST_RATE:
            raise argparse.ArgumentTypeError(f"{part} is no rate above 0 and up to {MOST_RATE} a second")
        rates.append(rate)
    return tuple(dict.fromkeys(rates))


def shares(text: str) -> tuple[float, ...]:
    """Percentages above 0%, up to 200%, as shares, separated by commas."""
    shares = [share(part) for part in names(text)]
    if not all(0 < share <= 2 for share in shares):
        raise argparse.ArgumentTypeError(f"{text} are no shares of capacity above 0% and up to 200%")
    return tuple(dict.fromkeys(shares))


def share(text: str) -> float:
    """A percentage as a share: `50%` is 0.5."""
    share = number(text[:-1]) / 100 if text.endswith("%") else -1.0
    if not 0 <= share <= 2:
        raise argparse.ArgumentTypeError(f"{text} is no percentage, such as 50%")
    return share


def bound(quantile: float, text: str) -> tuple[float, float]:
    """A quantile and the milliseconds that it is to be within."""
    return quantile, milliseconds(text)


def milliseconds(text: str) -> float:
    """A time such as `100ms` or `1.5s`, in milliseconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s)", text.strip())
    value = float(found.group(1)) * (1e3 if found.group(2) == "s" else 1.0) if found else 0.0
    if not 0 < value <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is no time above 0 and up to 60 s, such as 100ms")
    return value


def address(text: str) -> tuple[str, int]:
    """A host, and a port or the usual one."""
    host, colon, last = text.rpartition(":")
    if ":" in host:
        raise argparse.ArgumentTypeError(f"{text} is no IPv4 address or name, with or without :PORT")
    return (host, port(last)) if colon else (text, WORKER_PORT)


def port(text: str) -> int:
    """A port."""
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


def price(text: str) -> float:
    """A price above 0."""
    price = number(text)
    if not 0 < price < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no price above 0")
    return price


def count(text: str) -> int:
    """A whole number."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(text)


def count_s(text: str) -> float:
    """Seconds, 0 among them."""
    seconds = number(text)
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def seconds(text: str) -> float:
    """Seconds above 0."""
    seconds = count_s(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return seconds


def number(text: str) -> float:
    """The number that the text is, below every bound where it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0
