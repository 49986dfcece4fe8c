"""The command line: light to start, and every error one line with its remedy and its exit code."""

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main
from bench.verbs.arguments import public_command

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
HEAVY = (
    "locust",
    "gevent",
    "numpy",
    "pandas",
    "pyarrow",
    "matplotlib",
    "rich",
    "docker",
    "yaml",
    "scipy",
    "psutil",
)


@pytest.mark.parametrize(
    "statement",
    ["import bench", "import bench.verbs.parser; bench.verbs.parser.build_parser().format_help()"],
)
def test_the_package_and_its_help_import_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("verb", ["run", "plan", "slo", "aa", "report", "ceiling", "doctor", "worker"])
def test_every_verb_has_help(bench: Bench, verb: str) -> None:
    done = bench(verb, "--help")
    assert done.returncode == 0
    assert verb in done.stdout


def one_line(done: "subprocess.CompletedProcess[str]", code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("bench: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in lines[0]


def test_an_unknown_strategy_is_a_usage_error(bench: Bench, project: Path) -> None:
    one_line(
        bench("run", "--root", project, "--strategies", "nope"), 2, "unknown strategy nope", "fast, slow"
    )


def test_an_empty_image_folder_is_a_usage_error(bench: Bench, project: Path) -> None:
    (project / "images" / "manifest.json").unlink()
    one_line(bench("run", "--root", project), 2, "images/ has no manifest.json", "bench requests")
    (project / "images").rename(project / "photographs")
    one_line(bench("run", "--root", project), 2, "requests/ has no manifest.json", "bench requests")


def test_a_missing_image_is_a_usage_error(bench: Bench, project: Path) -> None:
    (project / "images" / "seed_0.jpg").unlink()
    one_line(bench("plan", "--root", project), 2, "seed_0.jpg")


def test_an_unknown_payload_class_names_those_that_exist(bench: Bench, project: Path) -> None:
    one_line(bench("plan", "--root", project, "--payloads", "huge"), 2, "huge", "seed, small")


def test_no_engine_with_the_compose_runtime_names_the_other_one(bench: Bench, project: Path) -> None:
    done = bench("run", "--root", project, "--runtime", "compose", DOCKER_HOST="unix:///nonexistent.sock")
    one_line(done, 1, "no Docker engine answers", "--runtime process")


def test_a_core_that_is_not_there_is_a_usage_error(bench: Bench, project: Path) -> None:
    one_line(bench("run", "--root", project, "--service-cores", "4000"), 2, "core 4000")


def test_a_report_of_nothing_is_a_usage_error(bench: Bench, tmp_path: Path) -> None:
    one_line(bench("report", tmp_path), 2, "run.json")


@pytest.mark.parametrize(
    "options", [("--rounds", "0"), ("--concurrency", "x"), ("--window-s", "-1"), ("--payloads", ","), ()]
)
def test_options_that_make_no_sense_are_usage_errors(bench: Bench, options: tuple[str, ...]) -> None:
    assert bench(*(("run", *options) if options else ())).returncode == 2


def test_the_plan_says_what_will_happen_without_doing_it(bench: Bench, project: Path) -> None:
    done = bench("plan", "--root", project, "--rounds", "2", "--seed", "7", "--startups", "6")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    trials = [line for line in lines if " trial " in line]
    assert len(trials) == 2 * 2 * 2
    assert sorted(line.partition(": ")[2] for line in trials[:4]) == [
        "trial fast seed",
        "trial fast small",
        "trial slow seed",
        "trial slow small",
    ]
    # one start from parity and one from each of four trials: one more makes six
    assert [line for line in lines if line.startswith("start ")] == ["start fast", "start slow"]
    assert "minutes" in lines[0]
    assert not (project / "results").exists()


def test_the_order_of_a_round_follows_from_the_seed(bench: Bench, project: Path) -> None:
    def order(seed: int) -> str:
        return bench("plan", "--root", project, "--rounds", "8", "--seed", str(seed)).stdout

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["run", "--results", "/a/b", "--quick"], "run --quick"),
        (["run", "--results=/a/b", "--root", "x", "--rounds", "2"], "run --rounds 2"),
        (["run", "--images", "/a"], "run"),
    ],
)
def test_the_command_is_kept_without_folders_of_this_machine(given: list[str], kept: str) -> None:
    assert public_command(given) == f"python -m bench {kept}"


def test_the_ceiling_is_printed_with_the_drivers_cpu(bench: Bench) -> None:
    done = bench("ceiling", "--bytes", "20000", "--window-s", "0.5", "--concurrency", "4")
    assert done.returncode == 0, done.stderr
    name, size, rate, cpu_ms, *_ = done.stdout.splitlines()[-1].split()
    assert (name, int(size)) == ("made-up", 20000)
    # the driver runs on one core, so its rate times its CPU per request cannot pass one second a second
    assert 0 < float(rate) * float(cpu_ms) / 1000 < 1.5
    json.dumps({"rate": float(rate)}, allow_nan=False)


def test_a_full_disk_is_one_line_and_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.verbs.run.do", full)
    assert main(["run"]) == 1
    assert "the disk is full: free some space" in capsys.readouterr().err


def test_an_encoding_that_a_strategy_does_not_take_is_a_usage_error(bench: Bench, project: Path) -> None:
    text = (project / "compose.yaml").read_text()
    (project / "compose.yaml").write_text(text.replace("json,raw", "json", 1))
    one_line(bench("plan", "--root", project, "--encoding", "raw"), 2, "fast takes json and not raw")
    assert bench("plan", "--root", project, "--encoding", "raw", "--strategies", "slow").returncode == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "one of the arguments"),
        (("--p99", "100"), "100 is not a time"),
        (("--p99", "0ms"), "0ms is not a time"),
        (("--p99", "1s", "--p95", "1s"), "not allowed with"),
    ],
)
def test_an_objective_is_one_quantile_and_a_time(bench: Bench, options: tuple[str, ...], told: str) -> None:
    done = bench("slo", *options)
    assert done.returncode == 2
    assert told in done.stderr


def test_workers_elsewhere_must_be_told_where_this_host_is(bench: Bench, project: Path) -> None:
    one_line(bench("run", "--root", project, "--remote-workers", "1"), 2, "--listen HOST")
    one_line(bench("run", "--root", project, "--listen", "192.0.2.1"), 2, "--remote-workers")
    assert bench("run", "--root", project, "--remote-workers", "1", "--listen", "fe80::1").returncode == 2


def test_a_run_goes_on_only_with_the_options_that_it_had(bench: Bench, tmp_path: Path) -> None:
    one_line(bench("run", "--resume", tmp_path, "--rounds", "3"), 2, "leave out --rounds")
    one_line(bench("run", "--resume", tmp_path), 2, f"no run.json in {tmp_path.name}/")


def test_an_option_must_be_written_out(bench: Bench, project: Path) -> None:
    done = bench("plan", "--root", project, "--resu", "x")
    assert done.returncode == 2
    assert "--resu" in done.stderr


def test_a_folder_that_cannot_be_written_is_one_line(bench: Bench, project: Path) -> None:
    (project / "results").write_text("a file")
    one_line(bench("run", "--root", project, "--runtime", "process"), 1, "NotADirectoryError")


def test_a_run_that_cannot_begin_leaves_no_folder(bench: Bench, project: Path) -> None:
    text = (project / "compose.yaml").read_text()
    text = text.replace("{bench.role: support}", "{bench.role: setup}").replace(
        "time.sleep(3600)", "raise SystemExit(1)"
    )
    (project / "compose.yaml").write_text(text)
    one_line(bench("run", "--root", project, "--runtime", "process"), 1, "helper failed with 1")
    assert list((project / "results").iterdir()) == []


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_fault(project: Path) -> None:
    plan = f"{sys.executable} -m bench plan --rounds 3000 --root {project}"
    root = Path(__file__).parents[2]
    command = f"set -o pipefail; {plan} | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 1
