"""gate.toml is read into values, and every mistake in it is one line that names the place and the remedy."""

import os
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.gate import GateRun, check_strategies, read_rules
from bench.gate.rules import Limit, Primary

ROOT = Path(__file__).parents[2]
PRIMARY = '[[primary]]\nstrategy = "onnx"\nmetric = "throughput"\ntolerance = "5%"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def limit(bound: str, metric: str = "image_unpacked_bytes") -> str:
    return f'[[limit]]\nmetric = "{metric}"\n{bound}\n'


def test_the_shipped_file_has_a_rule_for_each_service_and_the_limits_that_block() -> None:
    rules = read_rules(ROOT / "gate.toml")
    assert rules.primaries == tuple(
        Primary(name, "throughput", 0.05) for name in ("onnx", "torch", "batched")
    )
    assert [(rule.metric, rule.strategy, rule.kind, rule.amount.value) for rule in rules.limits] == [
        ("image_own_bytes", None, "increase", 2_000_000),
        ("wrong_answers", None, "most", 0),
        ("error_rate", None, "most", 0),
    ]
    assert rules.run.rounds == 6


def test_what_run_leaves_out_is_usual_and_what_it_says_is_kept(tmp_path: Path) -> None:
    assert read_rules(written(tmp_path, PRIMARY)).run == GateRun()
    told = '[run]\nrounds = 8\nwindow_s = 2.5\npayloads = ["seed", "small"]\nencoding = "raw"\n'
    assert read_rules(written(tmp_path, told + PRIMARY)).run == GateRun(
        rounds=8, window_s=2.5, payloads=("seed", "small"), encoding="raw"
    )


@pytest.mark.parametrize(
    ("bound", "value", "relative"),
    [
        ('increase = "2 MB"', 2_000_000, False),
        ('increase = "1.5MiB"', 1_572_864, False),
        ('increase = "1%"', 0.01, True),
        ("increase = 0", 0, False),
        ('most = "1 GB"', 1_000_000_000, False),
    ],
)
def test_sizes_are_read_in_their_units(tmp_path: Path, bound: str, value: float, relative: bool) -> None:
    found = read_rules(written(tmp_path, limit(bound))).limits[0].amount
    assert (found.value, found.relative) == (value, relative)


def test_a_limit_of_its_own_replaces_the_general_one_for_a_strategy(tmp_path: Path) -> None:
    own = '[[limit]]\nstrategy = "torch"\nmetric = "image_unpacked_bytes"\nincrease = "9 MB"\n'
    rules = read_rules(written(tmp_path, limit('increase = "2 MB"') + own))
    assert [rule.amount.written for rule in rules.limits_for("torch")] == ["9 MB"]
    assert [rule.amount.written for rule in rules.limits_for("onnx")] == ["2 MB"]
    kept = rules.only(["torch"]).limits
    assert [(rule.strategy, rule.amount.written) for rule in kept] == [("torch", "9 MB")]


def test_rules_for_some_strategies_or_without_timings_leave_the_others_out() -> None:
    rules = read_rules(ROOT / "gate.toml")
    assert [rule.strategy for rule in rules.only(["torch"]).primaries] == ["torch"]
    assert {rule.strategy for rule in rules.only(["torch"]).limits} == {"torch"}
    assert rules.deterministic().primaries == ()
    assert all(isinstance(rule, Limit) for rule in rules.deterministic().limits)


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("", "gate.toml has no rule", "docs/gate.md"),
        ("[run]\nrounds = 6\n", "has no rule", "add a [[primary]]"),
        ("rounds = = 6", "is not TOML", "line 1"),
        ("[runs]\n" + PRIMARY, 'unknown key "runs"', "run, primary, limit"),
        ("[run]\nround = 6\n" + PRIMARY, '[run] unknown key "round"', "rounds"),
        ("[run]\nrounds = 2\n" + PRIMARY, "[run]: rounds = 2", "from 3 to 1000"),
        ("[run]\nrounds = true\n" + PRIMARY, "rounds = True", "whole number"),
        ("[run]\nwindow_s = 0\n" + PRIMARY, "window_s = 0", "above 0"),
        ("[run]\nwindow_s = nan\n" + PRIMARY, "window_s = nan", "above 0"),
        ("[run]\npayloads = []\n" + PRIMARY, "payloads = []", '["small"]'),
        ("[run]\nencoding = 3\n" + PRIMARY, "encoding = 3", "write it as"),
        ("[[run]]\nrounds = 6\n" + PRIMARY, "[run] is not a table", "head it with [run]"),
        (PRIMARY.replace("[[primary]]", "[primary]"), "primary is not a list", "[[primary]]"),
        (PRIMARY + PRIMARY, "[[primary]]: 2 stanzas for onnx", "one metric a strategy"),
        (PRIMARY + "tolerence = 1\n", '[[primary]] number 1 unknown key "tolerence"', "tolerance"),
        (PRIMARY.replace('strategy = "onnx"\n', ""), "number 1 has no strategy", "add strategy"),
        (PRIMARY.replace('"onnx"', "7"), "strategy = 7 is not a name", 'write it as "..."'),
        (PRIMARY.replace('metric = "throughput"\n', ""), "has no metric", "add metric"),
        (PRIMARY.replace("throughput", "thruput"), 'unknown metric "thruput"', "throughput, p50"),
        (PRIMARY.replace("throughput", "error_rate"), '"error_rate" belongs', "[[limit]] stanza"),
        (PRIMARY.replace('tolerance = "5%"\n', ""), "has no tolerance", '"5%"'),
        (PRIMARY.replace('"5%"', "0.05"), "tolerance = 0.05", '"5%"'),
        (PRIMARY.replace('"5%"', '"0%"'), 'tolerance = "0%"', "above 0% and below 100%"),
        (PRIMARY.replace('"5%"', '"100%"'), 'tolerance = "100%"', "above 0% and below 100%"),
        (PRIMARY.replace('"5%"', '"-5%"'), 'tolerance = "-5%"', "above 0% and below 100%"),
        (limit("most = 0", "throughput"), '"throughput" belongs', "[[primary]] stanza"),
        (limit("most = 0", "images"), 'unknown metric "images"', "image_unpacked_bytes"),
        (limit(""), "[[limit]] number 1 needs one bound", "most = ..."),
        (limit('most = "1 GB"\nincrease = 0'), "needs one bound", "or increase"),
        (limit("increase = 2000000"), "increase = 2000000", '"2 MB" or "1%"'),
        (limit('increase = "2 mb"'), 'increase = "2 mb"', '"2 MB" or "1%"'),
        (limit('most = "1%"'), 'most = "1%"', 'most = "2 MB"'),
        (limit("increase = 0", "wrong_answers"), "wrong_answers takes no increase", "most = ..."),
        (limit('most = "0%"', "wrong_answers"), 'most = "0%" does not bound', "most = 0"),
        (limit("most = -1", "wrong_answers"), "most = -1", "most = 0"),
        (limit("most = false", "wrong_answers"), "most = False", "most = 0"),
        (limit('most = "101%"', "error_rate"), 'most = "101%"', 'most = "0%"'),
        (limit("most = 0.5", "error_rate"), "most = 0.5", 'most = "0%"'),
        (limit("most = 0") + limit("most = 0"), "2 stanzas for image_unpacked_bytes (all, most)", "keep one"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_the_remedy(
    tmp_path: Path, text: str, place: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read_rules(written(tmp_path, text))
    said = str(caught.value)
    assert place in said
    assert remedy in said
    assert said.startswith("gate.toml")
    assert "\n" not in said
    assert str(tmp_path) not in said


def test_no_file_and_no_text_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no gate\.toml here: write one as docs/gate\.md says$"):
        read_rules(tmp_path / "gate.toml")
    path = tmp_path / "gate.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"^gate\.toml is not TOML"):
        read_rules(path)


def test_a_rule_for_an_unknown_strategy_names_the_known_ones(tmp_path: Path) -> None:
    rules = read_rules(written(tmp_path, PRIMARY))
    check_strategies(rules, ["onnx", "torch"])
    with pytest.raises(UsageError, match=r'\[\[primary\]\] .*unknown strategy "onnx": name one of torch$'):
        check_strategies(rules, ["torch"])
    own = read_rules(written(tmp_path, limit('most = 0\nstrategy = "onxx"', "wrong_answers")))
    with pytest.raises(UsageError, match=r'\[\[limit\]\] .*"onxx": name one of onnx, torch$'):
        check_strategies(own, ["torch", "onnx"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = " + b"[" * 100_000, "is not TOML"),
        (b"[run]\nrounds = " + b"9" * 5000, "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"\xef\xbb\xbf[run]", "is not TOML"),
        (PRIMARY.replace("5%", "\u0663%").encode(), "not a percentage"),
    ],
    ids=range(5),
)
def test_a_file_that_is_no_rules_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "gate.toml").write_bytes(content)
    with pytest.raises(UsageError, match=says) as refused:
        read_rules(tmp_path / "gate.toml")
    assert "\n" not in str(refused.value)


def test_a_folder_or_a_pipe_in_place_of_the_rules_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(UsageError, match=r"cannot be read \(.*\): name a file with --rules"):
            read_rules(tmp_path / name)
