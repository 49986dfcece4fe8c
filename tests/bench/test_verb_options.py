"""Options are values: made once of the command line, kept by a run, and changed by the gate with replace."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.comparisons import ENOUGH_ROUNDS
from bench.errors import UsageError
from bench.gate.rules import rules_of
from bench.measure.plan import LONGEST_WINDOW_S
from bench.model import ExtraOptions, LoadOptions, MachineOptions, ObjectiveOptions, SessionOptions
from bench.run_file import read_run
from bench.verbs import aa, ceiling, compare, gate, run, slo
from bench.verbs.parser import build_parser
from bench.verbs.stored import session_of
from tests.gate.runs import EQUAL, run_of

ROOT = Path(__file__).parents[2]
RULES = {
    "run": {"rounds": 8, "window_s": 3.0, "warmup_s": 1.0, "concurrency": 9, "encoding": "raw"},
    "primary": [{"strategy": "onnx", "metric": "throughput", "tolerance": "5%"}],
    "limit": [{"metric": "wrong_answers", "most": 0}],
}
MEASURED = SessionOptions(
    verb="run",
    load=LoadOptions(2.0, 8.0, 7.0, clients=(4,), shares=(0.5,)),
    rounds=5,
    strategies=("onnx", "torch"),
    encodings=("json",),
    price_per_core_hour=0.04,
    extras=ExtraOptions(startups=10, loop_s=3.0, check_repeats=True),
    machine=MachineOptions("process", workers=2, driver_cores="0"),
)


def session(line: str) -> SessionOptions:
    words = shlex.split(line)
    args = build_parser(words[:1]).parse_args(words)
    if args.verb == "run":
        return run.read(args, words).measure.session
    return (slo if args.verb == "slo" else aa).read(args, words).session


def gate_options(line: str) -> gate.GateOptions:
    words = ["gate", *shlex.split(line)]
    return gate.read(build_parser(["gate"]).parse_args(words), words)


def test_a_run_without_options_has_the_usual_ones() -> None:
    assert session("run") == SessionOptions(
        verb="run",
        load=LoadOptions(4.0, 60.0, 10.0, clients=(50,)),
        rounds=6,
        payloads=(),  # the request set says which
        extras=ExtraOptions(10, 10, 3.0, check_repeats=True),
    )


def test_a_quick_run_is_short_and_checks_no_repeats() -> None:
    quick = session("run --quick --rate 10,20 --arrivals constant")
    assert quick.load == LoadOptions(
        1.5, 6.0, 4.0, arrivals="constant", rates_per_s=(10.0, 20.0), window_most_s=16.0
    )
    assert quick.extras == ExtraOptions(3, 1, 1.0)
    assert (quick.rounds, quick.quick) == (1, True)


def test_a_search_and_a_comparison_with_itself_measure_nothing_beside() -> None:
    search = session("slo --p99 100ms")
    assert (search.objective, search.rounds) == (ObjectiveOptions(0.99, 100.0), 0)
    assert search.load.clients == ()
    assert search.extras == session("aa").extras == ExtraOptions()


def test_a_quick_comparison_with_itself_is_short_and_takes_the_rounds_that_tell_apart() -> None:
    quick = session("aa --quick")
    assert (quick.rounds, quick.load.window_s) == (ENOUGH_ROUNDS, session("run --quick").load.window_s)
    assert session("aa").rounds == ENOUGH_ROUNDS
    assert session("aa --quick --rounds 2").rounds == 2
    # an older one was made with one round
    older = replace(run_of({"onnx": EQUAL}), command="python -m bench aa --quick --strategies onnx")
    kept = session_of(older)
    assert kept is not None
    assert kept.rounds == 1
    assert kept.load == replace(quick.load, window_most_s=None)


@pytest.mark.parametrize(
    ("verb", "usual"),
    [
        ("run", "10; quick 4, and up to 16 where a trial's p99 needs it"),
        ("aa", "10; quick 4, and up to 16 where a trial's p99 needs it"),
        ("plan", "10; quick 4, and up to 16 where a trial's p99 needs it"),
        ("slo", f"10; quick 4; up to {LONGEST_WINDOW_S:g} where a rate needs that for the quantile"),
        ("ceiling", f"{ceiling.WINDOW_S:g}"),
    ],
)
def test_help_tells_how_long_the_windows_of_this_verb_are(
    verb: str, usual: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        build_parser([verb]).parse_args([verb, "--help"])
    assert f"length of the measured window ({usual})" in " ".join(capsys.readouterr().out.split())


def test_the_windows_of_an_older_quick_run_are_of_one_length() -> None:
    """A gate measures like it: windows of 4 s beside those of up to 16 would be compared."""
    assert session("run --quick").load.window_most_s == 16.0
    older = session_of(replace(run_of({"onnx": EQUAL}), command="python -m bench run --quick"))
    assert older is not None
    assert (older.load.window_s, older.load.window_most_s) == (4.0, None)


def test_the_session_of_a_run_is_what_it_keeps_and_not_what_its_command_says() -> None:
    kept = replace(run_of({"onnx": EQUAL}), command="python -m bench run --rounds 99", options=MEASURED)
    assert session_of(kept) == MEASURED


# runs keep their options since
OLDER = [folder for folder in sorted((ROOT / "results").glob("2*")) if folder.name < "20261125"]


@pytest.mark.parametrize("folder", OLDER, ids=lambda folder: folder.name)
def test_the_session_of_an_older_run_is_what_its_command_says(folder: Path) -> None:
    stored = read_run(folder)
    assert stored.options is None
    found = session_of(stored)
    assert found is not None
    load = found.load
    assert {trial.window_s for trial in stored.trials} == {load.window_s}
    cases = len(found.payloads) * len([*load.clients, *load.rates_per_s, *load.shares])
    assert stored.planned_trials == found.rounds * len(stored.strategies) * cases


def test_a_gate_does_not_go_on_and_is_no_baseline() -> None:
    older = run_of({"onnx": EQUAL})
    assert session_of(older) is None
    options, rules = gate_options("--baseline before"), rules_of(RULES)
    newer = replace(older, options=replace(MEASURED, verb="gate"))
    for stored in (older, newer):
        with pytest.raises(UsageError, match=r"before/ was not made by `python -m bench run`"):
            gate.session_like(stored, "before", options, rules)


def test_the_rules_say_how_the_gate_measures() -> None:
    found = gate.session_by_rules(gate_options("--against main --device cpu"), rules_of(RULES))
    assert found == SessionOptions(
        verb="gate",
        load=LoadOptions(1.0, 1.0, 3.0, clients=(9,)),
        rounds=8,
        strategies=("onnx",),
        payloads=(),
        encodings=("raw",),
        extras=ExtraOptions(long_s=20.0),
        machine=MachineOptions(device="cpu"),
    )


@pytest.mark.parametrize(
    ("line", "long_s"),
    [
        ("--against main --long", 180.0),
        ("--against main --long 60", 60.0),
        ("--against main --window-s 30", 0.0),
    ],
)
def test_a_gate_goes_on_for_as_long_as_it_is_told(line: str, long_s: float) -> None:
    """What the rules say is for windows that are shorter than that."""
    found = gate.session_by_rules(gate_options(line), rules_of(RULES))
    assert found.extras.long_s == long_s


def test_options_come_before_the_rules() -> None:
    line = "--against main --rounds 3 --window-s 2 --warmup-s 0.5 --concurrency 2 --strategies torch --seed 7"
    found = gate.session_by_rules(gate_options(line), rules_of(RULES))
    assert found.load == LoadOptions(0.5, 0.5, 2.0, clients=(2,))
    assert (found.rounds, found.strategies, found.seed) == (3, ("torch",), 7)


def test_the_gate_measures_like_its_baseline_but_for_what_is_measured_beside() -> None:
    stored = replace(run_of({"onnx": EQUAL}), options=MEASURED)
    options = gate_options("--baseline before --device cpu --service-cores 1 --seed 3")
    assert gate.session_like(stored, "before", options, rules_of(RULES)) == replace(
        MEASURED,
        verb="gate",
        strategies=("onnx",),
        seed=3,
        extras=ExtraOptions(),
        machine=MachineOptions("auto", "cpu", service_cores="1", workers=2),
    )


def test_a_gate_that_times_nothing_makes_one_round_of_everything() -> None:
    stored = replace(run_of({"onnx": EQUAL}), options=MEASURED)
    rules = rules_of(RULES).deterministic()
    found = gate.session_like(stored, "before", gate_options("--baseline before --deterministic"), rules)
    assert (found.rounds, found.strategies, found.load.clients) == (1, None, (9,))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--against main --head run", "--head is a run to judge against a stored one"),
        ("--again run --rounds 3", "nothing is measured here: leave out --rounds"),
        ("--baseline run --head run --window-s 1 --warmup-s 1", "leave out --window-s, --warmup-s"),
        ("--baseline run --concurrency 3", "is measured as that was: leave out --concurrency"),
        ("--baseline run --tolerance 0.02", "is measured as that was: leave out --tolerance"),
        ("--baseline run --head run --tolerance=0.1", "nothing is measured here: leave out --tolerance"),
        *(
            (f"{base} {option}", f"nothing is measured here: leave out {option.partition(' ')[0]}")
            for base in ("--again run", "--baseline run --head run")
            for option in (
                *("--seed 2", "--max-other-cpu 9%", "--images there", "--runtime process", "--device cpu"),
                *(
                    "--service-cores 1",
                    "--driver-cores 0",
                    "--results there",
                    "--build",
                    "--no-build",
                    "--verbose",
                    "--long",
                ),
            )
        ),
        ("--again run --json --format markdown", "--json and --format markdown name two formats"),
    ],
)
def test_an_option_of_the_gate_that_would_do_nothing_is_refused(line: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        gate_options(line)


# every option of the gate, and on what it says something if nothing is measured, or as a stored run was
ALWAYS = {"--help", "--against", "--baseline", "--again", "--head", "--json", "--format", "--quiet", "--root"}
ALWAYS |= {"--deterministic", "--rules", "--strategies"}


def test_no_option_of_the_gate_is_left_without_a_rule_of_its_use() -> None:
    """A new option must say whether it is of any use where nothing is measured; --url never is."""
    actions = build_parser(["gate"])._subparsers._group_actions[0].choices["gate"]._actions  # type: ignore[union-attr,index,call-overload]
    options = {name for action in actions for name in action.option_strings if name.startswith("--")}
    assert options == {"--url"} | ALWAYS | set(gate.OF_MEASURING)


def test_a_tolerance_is_of_use_where_only_limits_are_judged() -> None:
    options = gate_options("--baseline before --deterministic --tolerance 0.1")
    stored = replace(run_of({"onnx": EQUAL}), options=MEASURED)
    assert gate.session_like(stored, "before", options, rules_of(RULES).deterministic()).tolerance == 0.1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("run --concurrency 8 --arrivals constant", "--arrivals is for open loads"),
        ("aa --arrivals poisson", "--arrivals is for open loads"),
        ("run --warmup-most-s 2", "--warmup-most-s 2 is less than the least warm-up, 4 s"),
        ("slo --p99 10ms --warmup-s 9 --warmup-most-s 8", "is less than the least warm-up, 9 s"),
    ],
)
def test_an_option_of_a_run_that_would_do_nothing_is_refused(line: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        session(line)


def test_a_comparison_in_two_formats_is_refused() -> None:
    words = ["compare", "a", "b", "--json", "--format", "markdown"]
    with pytest.raises(UsageError, match="name two formats"):
        compare.read(build_parser(["compare"]).parse_args(words), words)
