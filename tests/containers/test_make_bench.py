"""The README's main job, with real containers: `make bench` in a project of its own."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.running.compose import PORT_SETTINGS
from tests.running.exit_codes import code_of
from tests.running.ports import free_port
from tests.running.run_folders import only_run, read

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
STRATEGIES = {"torch", "onnx", "batched"}


# the shortest that shows every step: a long window makes a better figure, and shows no more
SHORT = "--window-s 2 --warmup-s 1 --warmup-most-s 2 --startups 1 --loop-seconds 0.5"

Made = tuple[subprocess.CompletedProcess[str], Path]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """`make bench BENCH_ARGS=--quick` with short windows."""
    return make_bench(tmp_path_factory.mktemp("results"), SHORT)


def make_bench(results: Path, options: str = "") -> Made:
    """Run it; how it ended, and the folder of its results."""
    environment = os.environ | {"COMPOSE_PROJECT_NAME": "model-serving-bench-quick"}
    environment |= {setting: str(free_port()) for setting in PORT_SETTINGS.values()}
    words = ["make", "bench", f"BENCH_ARGS=--quick --max-other-cpu 100% --results {results} {options}"]
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1400, check=False
    )
    return done, results


def test_make_bench_ends_with_a_sentence_a_table_and_where_to_read_more(
    quick: Made,
) -> None:
    check_told(quick)


def check_told(made: Made) -> None:
    done, results = made
    # make ends with 2, whatever its command ended with
    assert done.returncode == (2 if code_of(read(only_run(results))) else 0), done.stderr[-3000:]
    assert "it proves nothing" in done.stdout
    assert all(re.search(rf"\b{name}\b.*\d", done.stdout) for name in STRATEGIES)
    folder = only_run(results)
    assert "report.md" in done.stdout
    # a picture that compares needs two strategies that a busy host left a valid trial
    compared = {trial["strategy"] for trial in read(folder)["trials"] if trial["valid"]}
    of_load = ("throughput", "latency", "resources") if len(compared) > 1 else ()
    for plot in ("startup", "image_size", *of_load):
        assert (folder / "plots" / f"{plot}.png").stat().st_size > 5000
        assert (folder / "plots" / f"{plot}.svg").stat().st_size > 5000


def test_every_strategy_answered_both_payloads_and_never_wrongly(quick: Made) -> None:
    check_figures(quick)


def check_figures(made: Made) -> None:
    run = read(only_run(made[1]))
    assert {(t["strategy"], t["payload_class"]) for t in run["trials"]} == {
        (name, payload) for name in STRATEGIES for payload in ("seed", "small")
    }
    for trial in run["trials"]:
        assert trial["error"] is None
        assert trial["wrong_answers"] == 0
        assert trial["errors"] == 0
        assert trial["throughput_rps"] > 0
        assert trial["cpu_ms_per_request"] > 0
        assert trial["peak_memory_bytes"] > 50_000_000
    for name, strategy in run["strategies"].items():
        assert len(strategy["startup"]["first_correct_answer_s"]) == 3, name
        assert strategy["image"]["unpacked_bytes"] > strategy["image"]["compressed_bytes"] > 10_000_000
        assert {loop["payload_class"] for loop in strategy["loops"]} == {"seed", "small"}


def test_a_run_names_no_machine_and_stays_small(quick: Made) -> None:
    folder = only_run(quick[1])
    text = (folder / "run.json").read_text(encoding="utf-8") + (folder / "report.md").read_text(
        encoding="utf-8"
    )
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
    assert os.uname().nodename not in text
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 5_000_000


@pytest.mark.nightly
def test_make_bench_quick_as_the_page_has_it(tmp_path: Path) -> None:
    made = make_bench(tmp_path)
    check_told(made)
    check_figures(made)
