"""`--vary` makes variants of a strategy: named by what differs, checked first, set where the service runs."""

import json
import math
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cores import Cores
from bench.errors import UsageError
from bench.measure.http_client import get_status, wait_until
from bench.measure.runtime.compose_cli import ComposeCli, settings_of
from bench.measure.runtime.process_runtime import ProcessRuntime
from bench.measure.runtime.registry import load_registry
from bench.model import SessionOptions, Strategy, StrategyResult, Variant, Varied
from bench.model.from_outside import is_name
from bench.model.variants import crossed, how_many, in_words, variant_names
from bench.report.json_summary import summary_json
from bench.run_file import read_run, write_run
from bench.verbs.arguments import Places
from bench.verbs.gate import read as read_gate
from bench.verbs.gate import session_like
from bench.verbs.gate_session import judge_stored
from bench.verbs.jobs import make_job, say_what_it_cannot_conclude, unchecked_settings
from bench.verbs.parser import build_parser
from bench.verbs.run import read as read_run_options
from bench.verbs.stored import session_of
from bench.verbs.vary_arguments import varied
from bench.verbs.vary_rules import MOST_VARIANTS
from tests.gate.runs import EQUAL, run_of, throughput_rules, times
from tests.running.exit_codes import code_of

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).parents[2]
CORES = Cores((0,), (0,), (0,))
DELAYS = "fast:STUB_DELAY_S=0.001,0.03"


def session(*words: str) -> SessionOptions:
    args = build_parser(["run"]).parse_args(["run", *words])
    return read_run_options(args, ["run", *words]).measure.session


def planned(root: Path, *words: str) -> tuple[Strategy, ...]:
    return make_job(session(*words), Places(root, None, None)).plan.strategies


def with_settings(project: Path, command: str) -> None:
    """Label the stub strategies with what says their settings."""
    file = project / "compose.yaml"
    file.write_text(
        file.read_text().replace("bench.model: stub", f"bench.model: stub\n      bench.settings: {command}")
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("onnx:THREADS=1,2", Varied("onnx", "THREADS", ("1", "2"))),
        ("onnx:THREADS=2", Varied("onnx", "THREADS", ("2",))),
        ("a.b-c:x_1= low , high ", Varied("a.b-c", "x_1", ("low", "high"))),
        ("mine:FLAGS=--fast=yes,-1", Varied("mine", "FLAGS", ("--fast=yes", "-1"))),
    ],
)
def test_a_setting_and_its_values_are_read(text: str, found: Varied) -> None:
    assert varied(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("onnx", "is not a strategy's setting with its values: write onnx:THREADS=1,2"),
        ("onnx:THREADS", "is not a strategy's setting with its values"),
        ("THREADS=1,2", "is not a strategy's setting with its values"),
        (":THREADS=1", "'' is not a strategy's name"),
        ("on nx:THREADS=1", "'on nx' is not a strategy's name"),
        ("onnx:=1", "'' is not an environment variable's name"),
        ("onnx:2X=1", "'2X' is not an environment variable's name"),
        ("onnx:_X=1", "'_X' is not an environment variable's name"),
        ("onnx:THREADS=", "onnx:THREADS has no values"),
        ("onnx:THREADS=,", "onnx:THREADS has no values"),
        ("onnx:THREADS=1,,2", "onnx:THREADS has an empty value"),
        ("onnx:THREADS=1,2,1", "onnx:THREADS has the value 1 twice: leave out one"),
        ("onnx:THREADS=1\x1b", "is not one line of printable characters"),
        ("onnx:STORE=http://store", "has an address, which no run.json keeps"),
        ("onnx:PORT=1", "PORT cannot vary, as it says where the service listens"),
        ("onnx:HOST=1", "HOST cannot vary"),
        ("onnx:ONNX_MODEL_URI=a", "ONNX_MODEL_URI cannot vary"),
        ("onnx:MODEL_CACHE_DIR=/tmp", "MODEL_CACHE_DIR cannot vary"),
        (
            "batched:DEVICE=cpu,cuda",
            "DEVICE cannot vary, as --device says where services compute: make a run",
        ),
        ("mine:CUDA_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES cannot vary, as --device says"),
        ("mine:LD_PRELOAD=a.so", "LD_PRELOAD cannot vary, as it says which files a program loads"),
        ("mine:PYTHONPATH=a", "PYTHONPATH cannot vary, as it says which files a program loads"),
        ("mine:A=x,u:p@h", "mine:A has a value that may be secret"),
        ("mine:FLAGS=--api-key abc", "mine:FLAGS has a value that may be secret"),
        ("mine:FLAGS=fast db_password=abc", "mine:FLAGS has a value that may be secret"),
    ],
)
def test_what_is_no_setting_is_refused_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(ArgumentTypeError, match=re.escape(said)):
        varied(text)


@pytest.mark.parametrize(
    "name",
    [
        *("PUSHGATEWAY", "API_TOKEN", "HF_TOKEN", "TOKEN", "TOKEN_1", "GITHUBTOKEN", "AWS_SESSION_TOKEN"),
        *("DB_PASS", "PGPASSWORD", "MYSQL_PWD", "KEY_PASSPHRASE", "CLIENT_SECRETS", "AUTHORIZATION"),
        *("AWS_ACCESS_KEY_ID", "PRIVATE_KEY", "PRIVATE_KEY_PEM", "SECRET_KEY_BASE", "APIKEY", "api_keys"),
        *("BASIC_AUTH", "GOOGLE_APPLICATION_CREDENTIALS", "SORT_KEY"),
    ],
)
def test_what_may_be_secret_is_refused(name: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^{name} cannot vary, as it may be secret"):
        varied(f"mine:{name}=x")


@pytest.mark.parametrize(
    "name",
    [
        *("MAX_TOKENS", "MAX_NUM_BATCHED_TOKENS", "TOKENIZERS_PARALLELISM", "MAX_TOKEN_LENGTH"),
        *("KEY_CACHE_SIZE", "NUM_PASSES", "COMPASS", "PYTHONHASHSEED", "DEVICE_MEMORY_SHARE"),
    ],
)
def test_what_only_sounds_like_it_varies(name: str) -> None:
    assert varied(f"mine:{name}=1,2").setting == name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fast:A=1", "fast:A=2"], "--vary names fast:A twice: give all its values at once"),
        (
            ["fast:A=1,2,3,4,5", "fast:B=1,2,3,4,5"],
            f"--vary makes 25 variants, and {MOST_VARIANTS} are the most: leave out values",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        session(*(part for word in words for part in ("--vary", word)))


def test_a_service_that_runs_already_cannot_be_varied() -> None:
    with pytest.raises(UsageError, match=r"^--vary cannot set A of there, which runs already: start it"):
        session("--url", "there=http://127.0.0.1:9", "--vary", "there:A=1")


def test_the_command_line_says_a_mistake_in_a_line_and_ends_with_2(bench: Bench, project: Path) -> None:
    unread = bench("plan", "--root", project, "--vary", "fast:A")
    assert (unread.returncode, unread.stdout) == (2, "")
    assert re.fullmatch(r"bench: argument --vary: 'fast:A' is not .*: see `.* plan --help`\n", unread.stderr)
    unknown = bench("plan", "--root", project, "--vary", "fats:A=1")
    assert unknown.returncode == 2
    assert unknown.stderr == "bench: unknown strategy fats: compose.yaml registers fast, slow\n"
    elsewhere = bench("aa", "--root", project, "--vary", "fast:A=1")
    assert elsewhere.returncode == 2
    assert "unrecognized arguments: --vary" in elsewhere.stderr


variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,11}", fullmatch=True)
values = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1), min_size=1)
axes = st.dictionaries(variables, values.map(lambda ones: tuple(dict.fromkeys(ones))[:5]), max_size=3)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["onnx", "batched", "x" * 64]), axes.filter(bool), min_size=1))
def test_crossing_gives_the_product_under_names_of_its_own(every: dict[str, dict[str, Any]]) -> None:
    asked = [Varied(name, setting, one) for name, axis in every.items() for setting, one in axis.items()]
    found = crossed(asked)
    assert how_many(asked) == sum(map(len, found.values()))
    for name, axis in every.items():
        variants = found[name]
        assert len(variants) == math.prod(map(len, axis.values()))
        combinations = {tuple(one.settings.items()) for one in variants}
        assert len(combinations) == len(variants), "no combination comes twice"
        assert all(one.of == name and list(one.settings) == list(axis) for one in variants)
        assert all(value in axis[key] for one in combinations for key, value in one)
        names = variant_names(variants, taken=("onnx-1", "onnx"))
        assert len({*names, "onnx-1", "onnx"}) == len(names) + 2
        assert all(map(is_name, names))


@pytest.mark.parametrize(
    ("given_settings", "names"),
    [
        ([{"THREADS": "1"}, {"THREADS": "2"}], ("onnx-threads-1", "onnx-threads-2")),
        ([{"MAX_WAIT_MS": "0.5", "MODE": "cpu"}], ("onnx-max-wait-ms-0.5-mode-cpu",)),
        ([{"A": "+"}, {"A": "-"}], ("onnx-1", "onnx-2")),
        ([{"A": "5"}, {"A": "-5"}], ("onnx-a-5", "onnx-a-minus-5")),
        ([{"A": "-.5"}, {"A": "-x"}], ("onnx-a-minus-.5", "onnx-a-x")),
        ([{"MODE": "Fast"}, {"MODE": "slow"}], ("onnx-mode-Fast", "onnx-mode-slow")),
        ([{"MODE": "Fast"}, {"MODE": "fast"}], ("onnx-1", "onnx-2")),
        ([{"A": "y" * 80}, {"A": "z"}], ("onnx-1", "onnx-2")),
        ([{"A": "taken"}, {"A": "free"}], ("onnx-1", "onnx-2")),
    ],
)
def test_names_say_what_differs_or_else_count(
    given_settings: list[dict[str, str]], names: tuple[str, ...]
) -> None:
    variants = [Variant("onnx", one) for one in given_settings]
    assert variant_names(variants, taken=("onnx", "onnx-a-taken")) == names


def test_variants_take_the_place_of_their_strategy(project: Path) -> None:
    found = planned(project, "--vary", DELAYS, "--vary", "fast:B=x,y")
    assert [one.name for one in found] == [
        *("fast-stub-delay-s-0.001-b-x", "fast-stub-delay-s-0.001-b-y"),
        *("fast-stub-delay-s-0.03-b-x", "fast-stub-delay-s-0.03-b-y"),
    ]
    assert {one.service for one in found} == {"fast-service"}
    assert found[1].settings == {"STUB_DELAY_S": "0.001", "B": "y"}
    assert found[1].title == "The fast stub, STUB_DELAY_S=0.001, B=y"
    assert in_words(Variant("fast", found[1].settings)) == "STUB_DELAY_S=0.001, B=y"


def test_named_strategies_stay_beside_and_the_first_variant_is_the_baseline(project: Path) -> None:
    words = ("--vary", "slow:A=1,2", "--strategies", "fast,slow")
    plan = make_job(session(*words), Places(project, None, None)).plan
    assert [one.name for one in plan.strategies] == ["fast", "slow-a-1", "slow-a-2"]
    assert plan.baseline == "slow-a-1"
    chosen = make_job(session(*words, "--baseline", "fast"), Places(project, None, None)).plan
    assert chosen.baseline == "fast"
    both = session("--vary", "slow:A=1", "--vary", "fast:A=1")
    plan = make_job(both, Places(project, None, None)).plan
    assert ([one.name for one in plan.strategies], plan.baseline) == (["fast-a-1", "slow-a-1"], "slow-a-1")
    with pytest.raises(UsageError, match="--baseline slow is not measured here: name one of fast, slow-a-1"):
        make_job(session(*words, "--baseline", "slow"), Places(project, None, None))


@pytest.mark.parametrize("folder", [Path.home(), Path.cwd(), Path(tempfile.gettempdir())])
@pytest.mark.parametrize("text", ["{}/a.yaml", "--config={}/a.yaml", "{}"])
def test_a_value_with_a_folder_of_this_machine_is_refused(project: Path, folder: Path, text: str) -> None:
    with pytest.raises(
        UsageError, match=r"^fast:A has a value with a folder of this machine, which no run\.json"
    ):
        planned(project, "--vary", f"fast:A=b,{text.format(folder)}")


def test_a_folder_of_the_service_s_own_is_a_value(project: Path) -> None:
    assert len(planned(project, "--vary", f"fast:A=/app/a.yaml,{tempfile.gettempdir()}ish,/data/tmp/x")) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("onnx:THREADZ=1", "onnx has no setting THREADZ: did you mean THREADS?"),
        ("onnx:threads=1", "onnx has no setting threads: did you mean THREADS?"),
        ("torch:XYZZY=1", "torch has no setting XYZZY: it has MAX_MODEL_BYTES, HANDLER, WORKERS"),
        (
            "batched:MAX_BATCH=8,0",
            "batched does not start with MAX_BATCH=0: wrong setting: MAX_BATCH='0': input should be greater",
        ),
    ],
)
def test_a_service_of_this_repository_says_what_it_knows_and_refuses(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        planned(ROOT, "--vary", text)


def test_a_fault_of_the_stanza_is_blamed_on_no_value(project: Path) -> None:
    with_settings(project, "python settings.py")
    (project / "settings.py").write_text(
        "import json, os, sys\n"
        "asked = [{**os.environ, **one} for one in json.load(sys.stdin)]\n"
        "faults = [None if float(one['STUB_DELAY_S']) < 1 else 'STUB_DELAY_S: too long' for one in asked]\n"
        "print(json.dumps({'settings': ['STUB_DELAY_S', 'B'], 'faults': faults}))\n"
    )
    assert len(planned(project, "--vary", "fast:B=1,2")) == 2
    with pytest.raises(
        UsageError, match=r"^fast does not start with STUB_DELAY_S=2: STUB_DELAY_S: too long: "
    ):
        planned(project, "--vary", "fast:STUB_DELAY_S=0,2")
    file = project / "compose.yaml"
    file.write_text(file.read_text().replace('STUB_DELAY_S: "0.005"', 'STUB_DELAY_S: "5"'))
    said = r"^fast does not start as compose.yaml, .* have it, whatever varies: STUB_DELAY_S: too long: mend"
    with pytest.raises(UsageError, match=said):
        planned(project, "--vary", "fast:B=1,2")
    assert len(planned(project, "--vary", "fast:STUB_DELAY_S=0,0.1")) == 2, "each value mends it"


def test_what_it_knows_and_takes_is_planned() -> None:
    found = planned(ROOT, "--vary", "onnx:THREADS=1,2", "--vary", "onnx:MAX_ITEMS=8")
    assert [one.name for one in found] == ["onnx-threads-1-max-items-8", "onnx-threads-2-max-items-8"]


@pytest.mark.parametrize("command", ["no-such-program", "false", 'python -c "print(1)"'])
def test_where_nobody_can_say_any_name_is_taken(project: Path, command: str) -> None:
    with_settings(project, command)
    job = make_job(session("--vary", "fast:WHATEVER=1,2"), Places(project, None, None))
    assert len(job.plan.strategies) == 2
    (unstated,) = job.unstated
    assert unchecked_settings(unstated) == (
        "nobody here can check settings of fast (its label bench.settings gets no answer here): variants "
        "that differ in a variable that it does not read are the same service"
    )


def test_it_is_said_once_that_nobody_can_check_the_settings(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--vary", "fast:threads=1,2", "--vary", "fast:B=1"], ["--strategies", "fast"]):
        say_what_it_cannot_conclude(make_job(session(*words), Places(project, None, None)))
    told = capsys.readouterr().err
    assert re.fullmatch(r"bench: nobody here can check settings of fast \(no bench\.settings\): .*\n", told)


def test_what_its_label_says_is_said_to_be_checked() -> None:
    job = make_job(session("--vary", "onnx:THREADS=1,2"), Places(ROOT, None, None))
    assert job.unstated == ()


def test_a_local_process_gets_its_variant_s_settings(project: Path) -> None:
    plain, *_ = planned(project, "--strategies", "fast")
    quick, slow = planned(project, "--vary", DELAYS)
    runtime = ProcessRuntime(load_registry(project, {}), CORES)
    try:
        for strategy, delay_s in ((plain, 0.005), (quick, 0.001), (slow, 0.03)):
            instance = runtime.start(strategy)
            try:
                where = instance.host, instance.port, "/ready"
                assert wait_until(lambda at=where: get_status(*at) == 200, 60, instance.alive) is not None
                told = requests.get(f"http://{instance.host}:{instance.port}/seen", timeout=30).json()
                assert told["delay_s"] == delay_s
            finally:
                instance.stop()
    finally:
        runtime.close()


def test_what_compose_reads_has_the_variant_s_settings(project: Path) -> None:
    registry = load_registry(project, {})
    if registry.file.resolved is None:
        pytest.skip("docker compose is not here")
    variant = Variant("fast", {"STUB_DELAY_S": "0.03", "SIGN": "a$b ${c}"})
    strategy = replace(registry.strategies["fast"], variant=variant)
    cli = ComposeCli(registry, CORES)
    try:
        process = cli.spawn("config", "--format", "json", also=[cli.override(settings_of(strategy))])
        out, _ = process.communicate(timeout=60)
        services = json.loads(out)["services"]
    finally:
        cli.close()
    told = {name: value.replace("$$", "$") for name, value in services["fast-service"]["environment"].items()}
    assert told == {"PORT": "8080", **variant.settings}
    assert services["slow-service"]["environment"] == {"PORT": "8080", "STUB_DELAY_S": "0.02"}


def test_a_run_keeps_what_varied(tmp_path: Path) -> None:
    run = run_of({"onnx-a-1": EQUAL, "onnx-a-2": times(1.2)})
    strategies = {
        name: StrategyResult("ONNX", None, None, variant=Variant("onnx", {"A": name[-1]}))
        for name in run.strategies
    }
    asked = (Varied("onnx", "A", ("1", "2")),)
    kept = replace(run, strategies=strategies, options=replace(session(), varied=asked))
    write_run(kept, tmp_path)
    again = read_run(tmp_path)
    assert again.options is not None
    assert again.options.varied == asked
    assert {name: one.variant for name, one in again.strategies.items()} == {
        name: one.variant for name, one in strategies.items()
    }
    told = summary_json(again)["strategies"]
    assert [(one["name"], one["varied"]) for one in told] == [
        ("onnx-a-1", {"of": "onnx", "settings": {"A": "1"}}),
        ("onnx-a-2", {"of": "onnx", "settings": {"A": "2"}}),
    ]
    assert "varied" not in summary_json(run)["strategies"][0]


def test_a_run_that_goes_on_has_the_same_variants(project: Path, tmp_path: Path) -> None:
    asked = session("--vary", DELAYS, "--vary", "fast:B=x,y", "--strategies", "slow")
    plan = make_job(asked, Places(project, None, None)).plan
    names = [one.name for one in plan.strategies]
    write_run(replace(run_of(dict.fromkeys(names, EQUAL)), options=plan.options), tmp_path)
    stored = session_of(read_run(tmp_path))
    assert stored is not None
    again = make_job(stored, Places(project, None, None)).plan
    assert again.strategies == plan.strategies
    assert again.baseline == plan.baseline == names[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([Varied("fast", "TORCH_MODEL_URI", ("file:///etc/x",))], "TORCH_MODEL_URI cannot vary"),
        ([Varied("fast", "LD_PRELOAD", ("x.so",))], "LD_PRELOAD cannot vary"),
        ([Varied("fast", "A", ("1", "1"))], "fast:A has the value 1 twice"),
        ([Varied("fast", "A", ("1",)), Varied("fast", "A", ("2",))], "--vary names fast:A twice"),
        ([Varied("fast", "A", ())], "fast:A has no values"),
        ([Varied("fast", "A", ("1\n2",))], "'1\\n2' is not one line"),
        ([Varied("fast\x1b", "A", ("1",))], "'fast\\x1b' is not a strategy's name"),
        (
            [Varied("fast", f"A{place}", tuple(map(str, range(10)))) for place in range(40)],
            f"--vary makes {10**40} variants, and {MOST_VARIANTS} are the most",
        ),
    ],
)
def test_a_run_from_elsewhere_goes_on_with_nothing_that_would_be_refused(
    project: Path, tmp_path: Path, asked: list[Varied], said: str
) -> None:
    write_run(replace(run_of({"fast": EQUAL}), options=replace(session(), varied=tuple(asked))), tmp_path)
    stored = session_of(read_run(tmp_path))
    assert stored is not None
    with pytest.raises(UsageError, match=f"^{re.escape(said)}"):
        make_job(stored, Places(project, None, None))


def test_a_gate_does_not_measure_like_a_run_that_compares_settings() -> None:
    run = replace(run_of({"onnx": EQUAL}), options=session("--vary", "onnx:THREADS=1,2"))
    words = ["gate", "--baseline", "base"]
    options = read_gate(build_parser(["gate"]).parse_args(words), words)
    with pytest.raises(UsageError, match=r"^base/ compares settings \(--vary\), and a gate compares"):
        session_like(run, "base", options, throughput_rules("onnx"))


def test_a_gate_judges_no_run_by_a_run_of_other_settings() -> None:
    base, head = (
        replace(
            run,
            strategies={"onnx": StrategyResult("ONNX", None, None, variant=Variant("onnx", {"X": value}))},
        )
        for run, value in ((run_of({"onnx": EQUAL}), "1"), (run_of({"onnx": times(1.2)}), "2"))
    )
    with pytest.raises(
        UsageError, match=r"^base/ has other settings \(--vary\) of onnx than the run that is"
    ):
        judge_stored(throughput_rules("onnx"), base, "base", head)
    alike = replace(head, strategies=base.strategies)
    assert judge_stored(throughput_rules("onnx"), base, "base", alike).findings


@pytest.mark.slow
@pytest.mark.nightly
def test_a_run_compares_the_values(bench: Bench, project: Path, tmp_path: Path) -> None:
    done = bench(
        *("run", "--root", project, "--results", tmp_path / "results", "--runtime", "process", "--quick"),
        *("--concurrency", "4", "--warmup-s", "0.3", "--window-s", "1", "--startups", "0"),
        *("--loop-seconds", "0.2", "--payloads", "small", "--vary", DELAYS, "--max-other-cpu", "100%"),
    )
    (folder,) = (tmp_path / "results").iterdir()
    found = json.loads((folder / "run.json").read_text())
    assert done.returncode == code_of(found), done.stderr
    names = ["fast-stub-delay-s-0.001", "fast-stub-delay-s-0.03"]
    assert list(found["strategies"]) == names
    assert found["baseline"] == names[0]
    for trial in found["trials"]:
        # a service that sleeps for 30 ms answers nothing sooner
        if trial["strategy"] == names[1]:
            assert trial["latency_ms"]["p50"] >= 30
        assert trial["wrong_answers"] == 0
    assert {one["payload_class"] for one in found["strategies"][names[0]]["loops"]} == {"small"}
    if any(trial["valid"] for trial in found["trials"]):
        assert (folder / "plots" / "sweep.svg").is_file()
    words = [sys.executable, "-m", "bench", "report", str(folder), "--format", "csv"]
    table = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(name in table for name in names)


@pytest.mark.slow
@pytest.mark.nightly
def test_a_value_that_nobody_here_can_judge_is_refused_by_the_service_itself(
    bench: Bench, project: Path, tmp_path: Path
) -> None:
    done = bench(
        *("run", "--root", project, "--results", tmp_path / "results", "--runtime", "process", "--quick"),
        *("--payloads", "small", "--vary", "fast:STUB_DELAY_S=0.001,soon"),
    )
    assert done.returncode == 4
    assert re.search(
        r"bench: nothing was timed: fast-stub-delay-s-soon never .* its last line: ValueError: .*'soon'",
        done.stderr,
    )
