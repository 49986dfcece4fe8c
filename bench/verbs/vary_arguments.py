"""The argument `--vary`: a strategy's setting and its values, of which variants are made."""

import argparse
import re
from collections.abc import Iterable

from bench.errors import UsageError
from bench.model import Varied
from bench.model.from_outside import is_line, is_name
from bench.model.variants import how_many

MOST_VARIANTS = 24
EXAMPLE = "onnx:THREADS=1,2"
# a picture's legend leaves out what begins with an underscore
SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# where a service listens, and what and where its model is: bench and compose.yaml say this
RESERVED = frozenset(
    {"HOST", "PORT", "MODEL_CACHE_DIR", "LOCAL_STORE", "MANIFEST_URI", "STORAGE_EMULATOR_HOST"}
)
MODEL_URI = re.compile(r"(?:[A-Z0-9_]+_)?MODEL_URI")
# run.json and every report say what is varied
SECRET = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|API_?KEY|PUSHGATEWAY")


def add_vary(parser: argparse.ArgumentParser) -> None:
    """Settings whose values are compared."""
    parser.add_argument(
        "--vary",
        type=varied,
        action="append",
        default=[],
        metavar="NAME:SETTING=A,B",
        help="measure a strategy once with each value of an environment variable of its service, instead of "
        f"as compose.yaml has it ({EXAMPLE}); several settings of a strategy cross. Without --strategies "
        "these variants alone are measured; without --baseline the first is compared with the others",
    )


def varied(text: str) -> Varied:
    """A strategy, a setting and its values: `onnx:THREADS=1,2`."""
    target, sign, listed = text.partition("=")
    strategy, colon, setting = target.partition(":")
    if not sign or not colon:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a strategy's setting with its values: write {EXAMPLE}"
        )
    if not is_name(strategy):
        raise argparse.ArgumentTypeError(f"{strategy!r} is not a strategy's name: write {EXAMPLE}")
    _require_setting(setting)
    return Varied(strategy, setting, _values(target, listed))


def _require_setting(name: str) -> None:
    if not SETTING.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{name!r} is not an environment variable's name: write {EXAMPLE}, letters, digits and _"
        )
    if SECRET.search(name.upper()):
        raise argparse.ArgumentTypeError(
            f"{name} cannot vary, as it may be secret and run.json says what is varied: vary another setting"
        )
    if is_reserved(name):
        raise argparse.ArgumentTypeError(
            f"{name} cannot vary, as it says where the service listens or where its model is: add a service "
            "to compose.yaml for each value"
        )


def is_reserved(name: str) -> bool:
    """Whether a setting is not to be varied: it says where things are, or may be secret."""
    told = name.upper()
    return told in RESERVED or bool(MODEL_URI.fullmatch(told) or SECRET.search(told))


def _values(target: str, listed: str) -> tuple[str, ...]:
    values = [value.strip() for value in listed.split(",")]
    if not any(values):
        raise argparse.ArgumentTypeError(f"{target} has no values: write {EXAMPLE}")
    for value in values:
        if not value:
            raise argparse.ArgumentTypeError(
                f"{target} has an empty value: take away the comma that is too much"
            )
        if not is_line(value):
            raise argparse.ArgumentTypeError(f"{value[:60]!r} is not one line of printable characters")
        if "://" in value:
            raise argparse.ArgumentTypeError(
                f"{target} has an address, which no run.json keeps: add a service to compose.yaml for each"
            )
        if values.count(value) > 1:
            raise argparse.ArgumentTypeError(f"{target} has the value {value} twice: leave out one")
    return tuple(values)


def read_varied(args: argparse.Namespace) -> tuple[Varied, ...]:
    """What is varied; raises UsageError for a setting given twice, and for too many variants."""
    found: list[Varied] = getattr(args, "vary", [])
    _require_once(found)
    number = how_many(found)
    if number > MOST_VARIANTS:
        raise UsageError(
            f"--vary makes {number} variants, and {MOST_VARIANTS} are the most: leave out values, or measure "
            "settings one after another"
        )
    attached = {url.name for url in getattr(args, "url", [])}
    for one in found:
        if one.strategy in attached:
            raise UsageError(
                f"--vary cannot set {one.setting} of {one.strategy}, which runs already: start it yourself "
                "with each value, and give each a --url"
            )
    return tuple(found)


def _require_once(found: Iterable[Varied]) -> None:
    seen = set()
    for one in found:
        key = one.strategy, one.setting
        if key in seen:
            raise UsageError(
                f"--vary names {one.strategy}:{one.setting} twice: give all its values at once, {EXAMPLE}"
            )
        seen.add(key)
