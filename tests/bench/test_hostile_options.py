"""Every option of every verb refuses what it cannot use, in one line and with exit code 2."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.verbs import VERBS, argument_types, attached_arguments, one_service, vary_arguments
from bench.verbs.parser import build_parser

ROOT = Path(__file__).parents[2]
# what no number is, in any option; Python's own functions take most of these for numbers
NO_NUMBERS = [
    "",
    " ",
    "\t",
    "x",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "-1",
    "+1",
    " 1",
    "1_000",
    "0x10",
    "1e999",
    "9" * 5000,
    "\u00b2",
    "\u0663",
    "\uff11",
    "1\n2",
    "1\x00",
    "1\x1b[31m",
    "1\u202e",
    "--1",
    "1;2",
    "1,,x",
]
# beside the commas of a list there may be spaces
IN_LISTS = [value for value in NO_NUMBERS if value != " 1"]
NO_CORES = ["0-999999999", "3-1", "1-", "-", "0--1", "0-\u00b2", "99999999999999999999", "10000", ",", "0,,1"]
NO_PATHS = ["", " ", "a\nb", "a\x1b]0;x\x07"]
NO_NAMES = ["", " ", ",", "a\nb", "a\x1b[31mb", "a\u202eb", "x" * 121]
NUMBERS = (
    *("positive", "positives", "body_bytes", "seed", "workers", "remote_workers", "rates", "shares", "share"),
    *("port", "price", "tolerance", "count", "count_s", "seconds", "distance"),
)
REFUSED = {
    **{getattr(argument_types, name): NO_NUMBERS for name in NUMBERS},
    **{getattr(argument_types, name): IN_LISTS for name in ("positives", "rates", "shares")},
    argument_types.cores: [*IN_LISTS, *NO_CORES],
    argument_types.path: NO_PATHS,
    argument_types.name: [value for value in NO_NAMES if value != ","],
    argument_types.names: NO_NAMES,
    argument_types.commit: ["", " ", "-x", "--upload-pack=touch x", "a\nb"],
    argument_types.host: ["", " ", "-x", "a b", "a\nb", "fe80::1", "a/b", "\u00e4"],
    argument_types.address: ["", ":", ":80", "a:", "a:0", "a:65536", "a:\u00b2", "fe80::1", "-x:1", "a b:1"],
    attached_arguments.service_url: [
        *("", "=", "a", "a=", "a=b", "a=//b", "=http://b", "a b=http://b", "a=http://", "a=http://b c"),
        *("a=http://b\n", "a=http://b:99999", "a=http://b:\u00b2", "a=http://[b]", "a=http://u:p@b"),
        *("a=file:///b", "a=http://b/#c", "a=http://b/" + 2000 * "c"),
    ],
    attached_arguments.not_here: ["", "a=http://b"],
    attached_arguments.named_pid: [*NO_NUMBERS, *(f"a={one}" for one in NO_NUMBERS), "a=0", "a=9999999999"],
    attached_arguments.named_container: ["", "=", "a=", "a=-b", "a=b c", "a=b\n", "=b", "a=" + 200 * "b"],
    attached_arguments.header_variable: [
        *("", "a", "a=B", "a:=B", "a:H=", ":H=B", "a:H H=B", "a:H=Bearer x", "a:H=1B", "a:Host=B"),
        *("a:H\n=B", "a:H=B\n", "a:content-length=B"),
    ],
    argument_types.bound: [
        *NO_NUMBERS,
        "\u00b2ms",
        "1_0ms",
        "-1ms",
        "nanms",
        "infs",
        "0ms",
        "61s",
        "1e9s",
        "ms",
    ],
    argument_types.weights: [
        *(f"a={value}" for value in IN_LISTS if value != "1,,x"),
        *("", "a", "a=", "=1", "a=0", "a=1,a=2", "a b=1", "a/b=1"),
    ],
    argument_types.payload_class: ["", " ", "-x", ".x", "a b", "a\nb", "a/b", "\u00e4", "x" * 65],
    argument_types.json_pointer: ["", " ", "id", "/a\nb", "/" + "x" * 200],
    argument_types.input_ranges: [
        *(f"x={value}:1" for value in NO_NUMBERS if value != "-1"),
        *(f"x=-9:{value}" for value in NO_NUMBERS if value != "-1"),
        *("", "x", "x=", "=0:1", "x=1:1", "x=2:1", "x=0:1,", "x=0:1:2", "a\nb=0:1", "x=0:1,2:1"),
    ],
    argument_types.input_sizes: [
        *(f"x={value}" for value in NO_NUMBERS),
        *("", "x", "x=", "=8", "x=0", "x=8,8", "x=8,4", "x=8x", "x=8,,9", "x=1048577", "a\nb=8", "x=8x8,4x4"),
        "x=" + "x".join("2" * 9),
    ],
    vary_arguments.varied: [
        *("", "x", "a:B", "a=1,2", ":B=1,2", "a:=1,2", "a:B=", "a:B=,", "a:B=1,,2", "a:B=1,1", "a:1B=1,2"),
        *("a:B C=1,2", "a:B=1\nx,2", "a:\u00b2=1,2", "a:PATH=/a,/b", "a:LD_PRELOAD=x,y", "a:DEVICE=cpu,cuda"),
        *("a:API_KEY=1,2", "a:B=u:p@h,2"),
    ],
    one_service.address: [
        "",
        "x",
        "http://",
        "ftp://a/v2",
        "http://u:p@a/v2",
        "http://a b/v2",
        "http://a:0/v2",
    ],
    one_service.header: ["", "x", "A=", "=B", "A b=C", "A=C d", "Host=A", "A=\u00b2"],
}
NEEDED = {
    "slo": ["--p99", "100ms"],
    "gate": ["--against", "main"],
    "worker": ["--master", "host"],
    "compare": ["a", "b"],
    "report": ["a"],
    "requests make": ["--strategy", "onnx"],
    "requests from-files": ["a"],
    "requests record": ["--strategy", "onnx"],
}


def actions() -> Iterator[tuple[str, argparse.Action]]:
    for verb in VERBS:
        (verbs,) = build_parser([verb])._subparsers._group_actions  # type: ignore[union-attr]
        yield from actions_of(verb, verbs.choices[verb])  # type: ignore[index,call-overload]


def actions_of(words: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """What the parser takes, and what the parsers below it take, after these words."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from actions_of(f"{words} {name}", below)
        elif action.nargs != 0:
            yield words, action


def shown(verb: str, action: argparse.Action) -> str:
    return f"{verb} {action.option_strings[0] if action.option_strings else action.dest}"


OPTIONS = [pytest.param(verb, action, id=shown(verb, action)) for verb, action in actions()]


def kind(action: argparse.Action) -> object:
    return action.type.func if isinstance(action.type, partial) else action.type


def words(verb: str, action: argparse.Action, value: str) -> list[str]:
    needed, path = NEEDED.get(verb, []), verb.split()
    if not action.option_strings:
        return [*path, *([value, "b"] if verb == "compare" and action.dest == "base" else [value])]
    option = action.option_strings[0]
    if option in ("--against", "--again", "--baseline") and verb == "gate":
        needed = []
    if option == "--master" or (verb == "slo" and kind(action) is argument_types.bound):
        needed = []
    if verb == "requests make" and option == "--url":
        needed = []
    return [*path, *needed, f"{option}={value}"]


@pytest.mark.parametrize(("verb", "action"), OPTIONS)
def test_what_an_option_cannot_use_is_one_line(
    verb: str, action: argparse.Action, capsys: pytest.CaptureFixture[str]
) -> None:
    values = ["\u00b2", "", "x\n"] if action.choices else REFUSED[kind(action)]  # type: ignore[index]
    parser = build_parser(verb.split()[:1])
    for value in values:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(words(verb, action, value))
        assert ended.value.code == 2, value
        told = capsys.readouterr().err
        assert told.startswith("bench: ")
        assert told.endswith("--help`\n")
        assert told.count("\n") == 1
        assert told[:-1].isprintable(), told
        assert len(told) < 1200


def test_every_number_of_the_command_line_is_read_by_one_function() -> None:
    """Python's `int` and `float` take signs, underscores, spaces and the digits of every script."""
    source = (ROOT / "bench/verbs/argument_types.py").read_text(encoding="utf-8")
    assert not [word for word in ("int(", "float(", "isdigit", r"\d") if word in source.split("import")[-1]]


@pytest.mark.parametrize(
    ("verb", "option", "value"),
    [
        ("run", "--concurrency", "1,50"),
        ("run", "--rate", "12.5,1e2,.5"),
        ("run", "--load", "50%,110%"),
        ("run", "--seed", "0"),
        ("run", "--service-cores", "0,2-3"),
        ("run", "--listen", "192.0.2.1:5557"),
        ("run", "--results", "a folder/\u00e9"),
        ("ceiling", "--bytes", "3000000"),
        ("slo", "--p99", "1.5s"),
        ("slo", "--p99", "100 ms"),
        ("gate", "--against", "HEAD^1"),
        ("report", "--baseline", "torch@base"),
        ("requests make", "--range", "weather=-50:10,5:1e2"),
        ("requests make", "--range", "a=b=0:.5"),
        ("requests make", "--sizes", "image=320x240,1280x960"),
        ("requests make", "--sizes", "tokens=8"),
        ("requests record", "--ignore", "/items/*/id"),
        ("requests record", "--tolerance", "250"),
        ("requests from-files", "--class", "a.b-c_9"),
    ],
)
def test_what_an_option_can_use_it_takes(verb: str, option: str, value: str) -> None:
    needed = [] if option in NEEDED.get(verb, []) else NEEDED.get(verb, [])
    build_parser(verb.split()[:1]).parse_args([*verb.split(), *needed, option, value])


PLAN = f"{sys.executable} -m bench plan"


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (f"{PLAN} >&-", 2, "bench: stdout is closed"),
        (f"{PLAN} --help >&-", 2, "bench: stdout is closed"),
        (f"{PLAN} >&- 2>&-", 2, ""),
        (f"{PLAN} 2>&- >/dev/null", 0, ""),
        (f"{PLAN} <&- >/dev/null", 0, ""),
        (f"{PLAN} <&- --service-cores \u00b2 >/dev/null 2>&-", 2, ""),
        (f"{PLAN} >/dev/full", 1, "bench: the disk is full"),
        (f"{PLAN} >/dev/full 2>/dev/full", 1, ""),
        (f"{PLAN} --help | true; exit ${{PIPESTATUS[0]}}", None, ""),
        (f"{PLAN} --nonsense 2>&1 >/dev/null | true; exit ${{PIPESTATUS[0]}}", 2, ""),
    ],
)
def test_streams_that_take_nothing_are_no_traceback(command: str, code: int | None, told: str) -> None:
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stderr
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == (1 if told else 0), done.stderr


def test_a_file_that_is_opened_later_never_gets_the_number_of_a_closed_stream() -> None:
    code = (
        "from bench.verbs.streams import open_streams; print(open_streams());"
        "import os; assert os.open(os.devnull, os.O_RDONLY) > 2"
    )
    command = f"{sys.executable} -c '{code}' <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "help_of"),
    [("run --rounds 6 --bogus 1", "run"), ("requests make --strategy onnx --bogus", "requests make")],
)
def test_an_unknown_option_is_told_with_the_help_of_its_verb(
    given: str, help_of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser([given.split()[0]]).parse_args(given.split())
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "unrecognized arguments: --bogus" in told
    assert told.endswith(f"bench {help_of} --help`\n")


@pytest.mark.parametrize("text", ["0.04", "$0.04", "0.04 \N{EURO SIGN}"])
def test_a_price_may_name_its_currency(text: str) -> None:
    assert build_parser(["run"]).parse_args(["run", "--price", text]).price == 0.04
