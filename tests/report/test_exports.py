"""Each export says what the run says, keeps to its format, and trusts no text that a run brought along."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from bench.analysis.run_analysis import analyse
from bench.model import ClassFigures, Environment, LatencyMs, Run, ServerFigures, StageFigures, Trial
from bench.report.document import Section, paragraph
from bench.report.exports.comment import MOST_CHARACTERS, within_comment
from bench.report.formats import PRINTED
from bench.report.report import Report, report_of
from bench.report.text import MISSING
from tests.report.full_run import full
from tests.running.doubts import doubt

NOWHERE = Path("nowhere")
HOSTILE = (
    "=cmd|' /C calc'!A0 <script>alert(1)</script> [x](http://example.org) @someone #12\x07\x1b[31m\u202e"
)
REPORTED = [
    "20261120T123610Z-8fc212b",
    "20261124T181258Z-e214b0c",
    "20261124T210427Z-db782fb",
]


def report(run: Run) -> Report:
    return report_of(analyse(run, NOWHERE))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def entries(text: str) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    names = {entry["name"]: entry for entry in found}
    assert len(names) == len(found), "the action tells benchmarks apart by their names"
    return names


def suite(text: str) -> ElementTree.Element:
    root = ElementTree.fromstring(text)  # noqa: S314  # made by ourselves
    (only,) = root
    assert (root.tag, dict(root.attrib), only.tag) == ("testsuites", {}, "testsuite")
    return only


def without_valid_trials(run: Run, why: str = "the host stole 9% of the core") -> Run:
    trials = tuple(dataclasses.replace(t, valid=False, doubts=(doubt(why),)) for t in run.trials)
    return dataclasses.replace(run, trials=trials)


@pytest.fixture(scope="module")
def hostile(run: Run) -> Run:
    """A run whose every free text would do harm where it is not made harmless."""
    trials = tuple(
        dataclasses.replace(
            t,
            strategy=HOSTILE if t.strategy == "onnx" else t.strategy,
            doubts=(doubt(HOSTILE),),
            valid=t.round > 1,
            server=ServerFigures({HOSTILE: StageFigures(1.5, 10)}, None),
        )
        for t in run.trials
    )
    return dataclasses.replace(
        run,
        trials=trials,
        command=f"bench run ``` {HOSTILE}",
        strategies={HOSTILE if name == "onnx" else name: found for name, found in run.strategies.items()},
        environment=dataclasses.replace(run.environment, cpu_model=HOSTILE),
        doubts=(doubt(HOSTILE), doubt(f"two\nlines </details> {HOSTILE}")),
    )


@pytest.mark.parametrize("name", PRINTED)
def test_a_run_of_everything_and_one_of_nothing_are_exported(name: str, run: Run) -> None:
    assert PRINTED[name](report(full(run)))
    nothing = dataclasses.replace(run, trials=(), strategies={}, ceilings=(), environment=Environment())
    assert PRINTED[name](report(nothing))


@pytest.mark.parametrize("folder_name", REPORTED)
def test_a_committed_run_is_exported_in_every_format(folder_name: str) -> None:
    from bench.run_file import read_run

    folder = Path(__file__).parents[2] / "results" / folder_name
    found = report_of(analyse(read_run(folder), folder))
    written = {name: render(found) for name, render in PRINTED.items()}
    assert len(rows(written["csv"])) == len(found.analysis.run.trials)
    assert entries(written["smaller"])
    assert len(suite(written["junit"]).findall("testcase")) == len(found.analysis.summary.rows)
    assert len(written["markdown"]) < MOST_CHARACTERS


class TestMarkdown:
    def test_whom_to_choose_is_on_top_and_every_strategy_has_a_row(self, run: Run) -> None:
        text = PRINTED["markdown"](report(run))
        first, _, rest = text.partition("\n")
        assert first.startswith("**On one core, with small payloads, onnx serves 2.3 times")
        table = rest.split("<details>")[0]
        for name in ("torch", "onnx", "batched"):
            assert f"| {name} |" in table
        assert "baseline" in table
        assert "the host's governor could not be read" in table

    def test_githubs_renderer_sees_tables_and_folds_that_are_closed(self, run: Run) -> None:
        html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(
            PRINTED["markdown"](report(full(run)))
        )
        assert html.count("<details>") == html.count("</details>") > 8
        assert html.count("<table>") > 8
        assert "<summary>Throughput and latency</summary>" in html

    def test_no_text_of_the_run_becomes_a_link_a_mention_or_html(self, hostile: Run) -> None:
        text = PRINTED["github"](report(hostile))
        outside = re.sub(r"```sh\n.*?\n```", "", text, flags=re.DOTALL)
        html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(outside)
        assert not re.findall(r"<(?!/?(?:details|summary)>)/?(?:script|a|img)\b", html)
        assert html.count("<details>") == html.count("</details>")
        assert "@someone" not in outside
        assert "http://" not in outside
        assert "#12" not in outside
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text)

    def test_the_command_stays_in_its_fence(self, hostile: Run) -> None:
        text = PRINTED["markdown"](report(hostile))
        assert text.count("```") == 2

    def test_a_warning_that_many_trials_have_is_told_once_with_their_number(self, run: Run) -> None:
        text = PRINTED["markdown"](report(without_valid_trials(run)))
        top = text.split("<details>")[0]
        assert text.startswith("**Invalid: none of 36 trials may be believed.")
        assert top.count("the host stole") == 1
        assert "36 trials INVALID and left out: the host stole" in top

    def test_missing_figures_are_na_and_never_0(self, with_trials: Callable[..., Run]) -> None:
        nothing = with_trials(
            cpu_ms_per_request=None, peak_memory_bytes=None, latency_ms=LatencyMs(None, None, None)
        )
        table = PRINTED["markdown"](report(nothing)).split("<details>")[0]
        row = next(line for line in table.splitlines() if line.startswith("| torch |"))
        assert row.count(MISSING) == 3

    def test_a_run_that_is_too_long_names_the_sections_that_are_left_out(self, run: Run) -> None:
        many = tuple(
            dataclasses.replace(t, doubts=(doubt(f"{t.strategy} {t.round} " + "x" * 4000),))
            for t in run.trials
        )
        text = PRINTED["markdown"](report(dataclasses.replace(run, trials=many)))
        assert len(text) <= MOST_CHARACTERS
        assert re.search(r"left out: [^\n]*Warnings", text)
        assert text.count("<details>") == text.count("</details>")
        assert "python -m bench run" in text

    def test_a_top_that_is_too_long_alone_is_cut_and_says_so(self) -> None:
        text = within_comment("a line of text\n" * 10_000, [Section("Rest", (paragraph("more"),))], "end")
        assert len(text) <= MOST_CHARACTERS
        assert text.rstrip().endswith("the rest is in the run's own report.")

    def test_a_steps_summary_has_a_heading_and_the_machine(self, run: Run) -> None:
        text = PRINTED["github"](report(run))
        assert text.startswith("## Benchmark\n\nMeasured 2026-01-02 on Example CPU @ 2.00GHz, 2 cores,")
        assert text.endswith(PRINTED["markdown"](report(run)))


class TestJUnit:
    def test_counts_and_times_agree_and_what_the_schema_requires_is_there(self, run: Run) -> None:
        found = suite(PRINTED["junit"](report(full(run))))
        cases = found.findall("testcase")
        assert [child.tag for child in found] == [
            "properties",
            *["testcase"] * len(cases),
            "system-out",
            "system-err",
        ]
        assert found.attrib["timestamp"] == "2026-01-02T03:04:05"
        assert (found.attrib["tests"], found.attrib["errors"]) == (str(len(cases)), "0")
        assert found.attrib["failures"] == str(len(found.findall("testcase/failure")))
        assert found.attrib["skipped"] == str(len(found.findall("testcase/skipped")))
        assert float(found.attrib["time"]) == pytest.approx(sum(float(c.attrib["time"]) for c in cases))
        assert all(re.fullmatch(r"\d+\.\d{3}", c.attrib["time"]) for c in cases)
        assert len({(c.attrib["classname"], c.attrib["name"]) for c in cases}) == len(cases)
        assert all(set(c.attrib) == {"classname", "name", "time"} for c in cases)

    def test_a_run_in_order_has_no_failure_and_its_figures_as_properties(self, run: Run) -> None:
        found = suite(PRINTED["junit"](report(run)))
        assert (found.attrib["failures"], found.attrib["skipped"], found.attrib["tests"]) == ("0", "0", "6")
        values = {p.attrib["name"]: p.attrib["value"] for p in found.findall("properties/property")}
        assert float(values["onnx: throughput (small, json, 50 clients), requests/s"]) == pytest.approx(
            231, rel=0.03
        )
        assert values["cpu_model"] == "Example CPU @ 2.00GHz"
        assert "governor" not in values

    def test_a_case_without_a_valid_trial_fails_with_its_reasons(self, run: Run) -> None:
        found = suite(PRINTED["junit"](report(without_valid_trials(run))))
        assert found.attrib["failures"] == found.attrib["tests"] == "6"
        failure = found.find("testcase/failure")
        assert failure is not None
        assert failure.attrib == {
            "type": "invalid",
            "message": "no valid trial of 6: the host stole 9% of the core",
        }
        assert (failure.text or "").splitlines()[0] == "round 1: the host stole 9% of the core"

    def test_one_wrong_answer_fails_its_case_alone(self, run: Run) -> None:
        trials = list(run.trials)
        trials[4] = dataclasses.replace(trials[4], wrong_answers=1, valid=False)
        found = suite(PRINTED["junit"](report(dataclasses.replace(run, trials=tuple(trials)))))
        (case,) = [case for case in found.findall("testcase") if case.find("failure") is not None]
        failure = case.find("failure")
        assert failure is not None
        assert (case.attrib["classname"], failure.attrib["type"]) == (trials[4].strategy, "wrong answers")
        assert failure.attrib["message"].startswith("1 wrong answer in ")

    def test_what_was_not_measured_is_skipped_and_says_so(self, with_trials: Callable[..., Run]) -> None:
        some = with_trials(lambda t: (t.strategy, t.payload_class) != ("onnx", "seed"))
        found = suite(PRINTED["junit"](report(some)))
        (case,) = [case for case in found.findall("testcase") if case.find("skipped") is not None]
        assert (case.attrib["classname"], case.attrib["name"]) == ("onnx", "seed, json, 50 clients")
        assert [skip.text for skip in case] == ["not measured in this run"]
        assert (found.attrib["skipped"], found.attrib["failures"]) == ("1", "0")

    def test_a_run_without_any_trial_is_no_pass(self, run: Run) -> None:
        found = suite(PRINTED["junit"](report(dataclasses.replace(run, trials=()))))
        assert (found.attrib["tests"], found.attrib["failures"]) == ("1", "1")

    def test_hostile_text_is_escaped_and_without_control_characters(self, hostile: Run) -> None:
        text = PRINTED["junit"](report(hostile))
        assert not re.search("[\x00-\x08\x0b-\x1f\ufffe\uffff]", text)
        assert "<script>" not in text
        names = {case.attrib["classname"] for case in suite(text).findall("testcase")}
        assert any("<script>alert(1)</script>" in name for name in names)

    def test_a_time_that_is_none_is_left_out(self, run: Run) -> None:
        found = suite(PRINTED["junit"](report(dataclasses.replace(run, created="yesterday"))))
        assert "timestamp" not in found.attrib


class TestGithubActionBenchmark:
    def test_entries_have_the_fields_that_the_action_reads(self, run: Run) -> None:
        found = entries(PRINTED["smaller"](report(full(run))))
        for entry in found.values():
            assert {"name", "unit", "value"} <= entry.keys() <= {"name", "unit", "value", "range", "extra"}
            assert isinstance(entry["value"], int | float)
            assert all(isinstance(entry[key], str) for key in entry.keys() - {"value"})
        assert {entry["unit"] for entry in found.values()} == {"ms", "CPU-ms/request", "bytes", "s"}

    def test_what_is_better_smaller_and_what_is_better_bigger_are_apart(self, run: Run) -> None:
        whole = report(full(run))
        smaller, bigger = entries(PRINTED["smaller"](whole)), entries(PRINTED["bigger"](whole))
        assert not smaller.keys() & bigger.keys()
        assert "onnx: p99 latency (small, json, 50 clients)" in smaller
        assert "onnx: time to the first right answer, cold model cache" in smaller
        assert "onnx: image, compressed" in smaller
        assert "onnx: throughput (small, json, 50 clients)" in bigger
        assert "onnx: highest rate with p99 \N{LESS-THAN OR EQUAL TO} 100 ms (small, json)" in bigger
        # in an open load each answers what it is offered
        assert not [name for name in bigger if "capacity" in name or "requests/s)" in name]

    def test_a_missing_figure_is_left_out_and_not_0(self, with_trials: Callable[..., Run]) -> None:
        some = with_trials(cpu_ms_per_request=None, latency_ms=LatencyMs(10.0, None, None))
        found = entries(PRINTED["smaller"](report(some)))
        assert any("p50 latency" in name for name in found)
        assert not [name for name in found if "CPU" in name or "p99" in name]
        assert 0 not in [entry["value"] for entry in found.values()]

    def test_invalid_trials_give_no_throughput(self, run: Run) -> None:
        assert json.loads(PRINTED["bigger"](report(without_valid_trials(run)))) == []

    def test_one_round_has_no_range(self, with_trials: Callable[..., Run]) -> None:
        found = entries(PRINTED["bigger"](report(with_trials(lambda t: t.round == 1))))
        assert found
        assert not [entry for entry in found.values() if "range" in entry]
        assert {entry["extra"] for entry in found.values()} == {"1 round"}


class TestCsv:
    def test_a_row_a_trial_holds_the_trials_own_figures(self, run: Run) -> None:
        whole = full(run)
        found = rows(PRINTED["csv"](report(whole)))
        assert len(found) == len(whole.trials)
        for row, trial in zip(found, whole.trials, strict=True):
            assert (row["strategy"], int(row["round"])) == (trial.strategy, trial.round)
            assert float(row["throughput_per_s"]) == trial.throughput_rps
            assert float(row["p99_ms"]) == trial.latency_ms.p99
            assert row["valid"] == str(trial.valid).lower()
        assert found[3]["reasons"].startswith("the host stole 7.5%")

    def test_every_figure_of_a_trial_has_a_column(self, run: Run) -> None:
        """A field that is added to a trial and forgotten here fails this."""
        elsewhere = {"load", "latency_ms", "service_ms", "server", "driver", "resources", "doubts", "error"}
        elsewhere |= {"with_failures_ms", "by_class"}
        renamed = {
            "payload_class": "payloads",
            "ok": "right_answers",
            "errors": "failed_requests",
            "refused": "refused_requests",
            "throughput_rps": "throughput_per_s",
        }
        header = PRINTED["csv"](report(run)).splitlines()[0].split(",")
        for field in dataclasses.fields(Trial):
            assert field.name in elsewhere or renamed.get(field.name, field.name) in header

    def test_stages_have_columns_where_any_service_timed_them(self, with_trials: Callable[..., Run]) -> None:
        server = ServerFigures({"queue": StageFigures(2.5, 40)}, None)
        found = rows(PRINTED["csv"](report(with_trials(server=server))))
        assert (found[0]["stage_queue_mean_ms"], found[0]["stage_queue_count"]) == ("2.5", "40")

    def test_classes_of_a_mix_have_columns(self, with_trials: Callable[..., Run]) -> None:
        part = ClassFigures("small", 100, 99, 1, 0, 9.9, LatencyMs(1.5, 2.5, None))
        found = rows(PRINTED["csv"](report(with_trials(by_class=(part,)))))[0]
        assert (found["class_small_requests"], found["class_small_right_answers"]) == ("100", "99")
        assert (found["class_small_p50_ms"], found["class_small_p99_ms"]) == ("1.5", "")

    def test_missing_figures_are_empty(self, with_trials: Callable[..., Run]) -> None:
        some = with_trials(
            throughput_rps=None, cpu_ms_per_request=None, latency_ms=LatencyMs(None, None, None)
        )
        row = rows(PRINTED["csv"](report(some)))[0]
        empty = ("throughput_per_s", "p50_ms", "cpu_ms_per_request", "refused_requests", "driver_workers")
        assert [row[name] for name in (*empty, "stolen_share", "share_of_capacity")] == [""] * 7

    @pytest.mark.parametrize("name", ["csv", "csv-summary"])
    def test_no_text_becomes_a_formula(self, name: str, hostile: Run) -> None:
        text = PRINTED[name](report(hostile))
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert any("cmd|" in cell for cell in cells)
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
        assert not [cell for cell in cells if cell.startswith("-") and not _is_number(cell)]
        assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)

    def test_the_summary_has_a_row_for_what_is_missing_too(self, with_trials: Callable[..., Run]) -> None:
        found = rows(PRINTED["csv-summary"](report(with_trials(cpu_ms_per_request=None))))
        cpu = [row for row in found if row["metric"] == "CPU time"]
        assert len(cpu) == 6
        assert {(row["centre"], row["low"], row["high"], row["n"]) for row in cpu} == {("", "", "", "")}
        rate = next(row for row in found if row["metric"] == "throughput")
        assert float(rate["low"]) < float(rate["centre"]) < float(rate["high"])
        assert (rate["n"], rate["n_of"], rate["unit"]) == ("6", "rounds", "requests/s")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_reasons_in_a_comment_stand_by_gravity_then_by_number_then_by_words(run: Run) -> None:
    """Of a set of words the order was another in each process."""
    held = (
        doubt("stolen", "stolen", voids=False),
        doubt("busy", "driver_busy", voids=False),
        doubt("late", "late_sends", voids=False),
        doubt("off", "littles_law", voids=False),
        doubt("wrong", "wrong_answers", voids=False),
    )
    trials = [dataclasses.replace(run.trials[0], doubts=held)]
    trials += [dataclasses.replace(one, doubts=held[:1]) for one in run.trials[1:3]]
    text = PRINTED["markdown"](report(dataclasses.replace(run, trials=(*trials, *run.trials[3:]))))
    found = re.findall(r"trials? warned of: ([^\n]*)", text)
    assert found[:5] == [
        "wrong answers",
        "the host stole time of the service's core",
        "Little's law is off",
        "a core of the driver was busy",
        "the driver was late",
    ]
