"""Row 18: a refusal is a 429 under an open load, a 503 is a failure: in counts, and in the report's words."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from bench.analysis.run_analysis import analyse
from bench.model import Run, Trial
from bench.report.formats import PRINTED
from bench.report.json_summary import summary_json
from bench.report.report import report_of
from bench.report.text import REFUSED, spaced
from tests.calibration.claims import Figure
from tests.calibration.edges.known_run import KnownRun, run_known
from tests.calibration.edges.known_service import Script
from tests.calibration.edges.registry import Edge

# in a service that takes two at a time, each for 20 ms, half of these requests find no place
CROWDED = {"refused": 429, "failed": 503}
OPTIONS = ("--rate", "200", "--warmup-s", "1", "--warmup-most-s", "1", "--window-s", "3")


def crowded(folder: Path, *statuses: str) -> KnownRun:
    """The services that turn requests away, each with its status."""
    services = {
        name: Script(phases=[[0.0, 20.0]], most_queued=2, full_status=CROWDED[name]) for name in statuses
    }
    return run_known(folder, services, *OPTIONS)


def turned_away(run: KnownRun, name: str) -> int:
    """How many requests the copy that was driven turned away, by its own log."""
    driven = max(run.logs[name], key=lambda log: len(log["requests"]))
    return sum(status == CROWDED[name] for *_, status in driven["requests"])


def counts(run: KnownRun, name: str) -> tuple[int, int]:
    """How many of a trial's requests the driver calls refused and failed, in all its samples."""
    outcomes = run.samples(run.trial(name))["outcome"].astype(str)
    return int((outcomes == "refused").sum()), int((outcomes == "http_error").sum())


def measure(folder: Path) -> Sequence[Figure]:
    """The driver counts what the services turned away, each in its place, and every format says as much."""
    run = crowded(folder, *CROWDED)
    refused, failed = run.trial("refused"), run.trial("failed")
    of_429, of_503 = counts(run, "refused"), counts(run, "failed")
    voids = {one.code for one in failed.doubts if one.voids}
    blamed = [one.code for one in refused.doubts if one.voids and one.cause == "service"]
    return [
        exact("429: refused, by the driver", turned_away(run, "refused"), of_429[0]),
        exact("429: failed, by the driver", 0, of_429[1] + refused.errors),
        exact("429: reasons to void that are the service's", 0, len(blamed)),
        exact("503: failed, by the driver", turned_away(run, "failed"), of_503[1]),
        exact("503: refused, by the driver", 0, of_503[0] + (failed.refused or 0)),
        exact("503: voids as failed requests", 1, "failed_requests" in voids),
        *words(run, refused, failed),
    ]


def words(run: KnownRun, refused: Trial, failed: Trial) -> list[Figure]:
    """What the terminal, the report and the exports say: the counts of run.json, and what a refusal is."""
    report = (run.folder / "report.md").read_text()
    terminal = " ".join(run.out.split())
    told = f"{spaced(refused.refused or 0)} requests refused by refused"
    rows = {one["strategy"]: one for one in summary_json(run.run)["rows"]}
    table = {one["strategy"]: one for one in csv.DictReader(io.StringIO(printed(run.run, "csv")))}
    in_rows = rows["refused"]["refused"], rows["failed"]["refused"], rows["failed"]["errors"]
    in_csv = (
        table["refused"]["refused_requests"],
        table["failed"]["refused_requests"],
        table["failed"]["failed_requests"],
    )
    truth = (refused.refused, failed.refused, failed.errors)
    texts = {"the terminal": terminal, "the report": " ".join(report.split())}
    return [
        *(exact(f"{name} says who refused how many", 1, told in text) for name, text in texts.items()),
        *(exact(f"{name} says what a refusal is", 1, REFUSED in text) for name, text in texts.items()),
        *(exact(f"{name} calls a 503 a refusal", 0, "429 or 503" in text) for name, text in texts.items()),
        exact("JSON has the counts of run.json", 1, in_rows == truth),
        exact("CSV has the counts of run.json", 1, in_csv == tuple(map(str, truth))),
    ]


def printed(run: Run, name: str) -> str:
    """The run in a text format."""
    return PRINTED[name](report_of(analyse(run, Path("nowhere"))))


def exact(claim: str, truth: float, measured: float) -> Figure:
    """A count, or a claim that holds (1) or not."""
    return Figure(claim, truth, measured, "exactly", truth == measured, 1)


def broken(folder: Path) -> Sequence[Figure]:
    """A 503 counts as the old words said: as refused, which voids nothing."""
    run = crowded(folder, "failed")
    refused, failed = counts(run, "failed")
    return [
        exact("503: refused, by the driver", turned_away(run, "failed"), refused),
        exact("503: failed, by the driver", 0, failed),
    ]


EDGES = [
    Edge(
        18,
        "a refusal is 429, in counts and words",
        measure,
        broken,
        (
            "tests/bench/test_open_driver.py",
            "test_a_full_service_that_turns_requests_away_is_no_error_of_an_open_loop",
        ),
    )
]
