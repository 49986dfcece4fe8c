"""index.html over a folder of runs: what is joined, what is not, and what cannot be read."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from bench.analysis.summary import summarise
from bench.analysis.trends import entries, fingerprint_key, joined, trends
from bench.errors import UsageError
from bench.model import OtherCommit, Run, RunSettings
from bench.report.index import make_index
from bench.report.index_rows import index_lines, index_rows
from bench.report.page.trend_chart import letter
from bench.run_file import write_run
from tests.report.browser import chromium, open_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def _made(run: Run, day: int, **environment: Any) -> Run:
    """The run as of another day, with facts of its environment changed."""
    created = f"2026-01-{day:02}T03:04:05+00:00"
    return dataclasses.replace(
        run, created=created, environment=dataclasses.replace(run.environment, **environment)
    )


def _write(results: Path, runs: dict[str, Run]) -> Path:
    for name, run in runs.items():
        (results / name).mkdir(parents=True)
        write_run(run, results / name)
    return results


def test_the_commit_the_images_and_how_often_are_free(run: Run) -> None:
    settings = RunSettings(window_s=10.0, rounds=6, clients=(50,))
    one = _made(run, 1, commit="a", dirty=False, images={"onnx": "sha256:1"}, settings=settings)
    other = _made(
        run, 2, commit="b", dirty=True, images={}, settings=dataclasses.replace(settings, rounds=12)
    )
    assert fingerprint_key(one) == fingerprint_key(other)


@pytest.mark.parametrize(
    "changed",
    [
        {"cpu_model": "Another"},
        {"cores": 4},
        {"service_cores": "0"},
        {"memory_bytes": 16 * 1024**3},
        {"kernel": "6.2"},
        {"libraries": {"locust": "3"}},
        {"settings": RunSettings(window_s=9.0)},
        {"settings": RunSettings(window_s=10.0, payloads={"small": ("a.jpg",)})},
        {"settings": RunSettings(window_s=10.0, clients=(64,))},
        {"governor": "performance"},
    ],
)
def test_any_other_fact_sets_runs_apart(run: Run, changed: dict[str, Any]) -> None:
    base = _made(run, 1, settings=RunSettings(window_s=10.0))
    assert fingerprint_key(base) != fingerprint_key(_made(base, 2, **changed))


def test_the_runtime_sets_runs_apart(run: Run) -> None:
    assert fingerprint_key(run) != fingerprint_key(dataclasses.replace(run, runtime="process"))


def test_only_runs_of_one_group_are_joined_and_in_the_order_of_time(run: Run) -> None:
    runs = {"c": _made(run, 3), "a": _made(run, 1), "b": _made(run, 2, kernel="6.2"), "d": _made(run, 4)}
    found = entries([(name, one, summarise(one)) for name, one in runs.items()])
    assert [(entry.name, entry.group) for entry in found] == [("a", 0), ("b", 1), ("c", 0), ("d", 0)]
    trend = trends(found)[0]
    assert trend.runs == 4
    groups = [[point.place for point in group] for group in joined(trend.points["throughput"])]
    assert groups == [[0, 2, 3], [1]]


def test_runs_that_sent_other_requests_are_not_joined_and_an_older_one_is_where_it_fits(run: Run) -> None:
    sent = (None, "a", "a", "b", None, "b")
    runs = {
        f"r{day}": _made(run, day, settings=RunSettings(payload_digests={"small": digest * 64}))
        if digest
        else _made(run, day, settings=RunSettings())
        for day, digest in enumerate(sent, 1)
    }
    found = entries([(name, one, summarise(one)) for name, one in runs.items()])
    assert [entry.group for entry in found] == [0, 0, 0, 1, 0, 1]


def test_a_run_without_the_figure_is_no_point(run: Run) -> None:
    bare = dataclasses.replace(
        run, trials=tuple(dataclasses.replace(one, cpu_ms_per_request=None) for one in run.trials)
    )
    found = entries([("a", run, summarise(run)), ("b", _made(bare, 9), summarise(bare))])
    trend = trends(found)[0]
    assert [len(trend.points[metric]) for metric in ("throughput", "p99", "cpu")] == [2, 2, 1]


def test_groups_have_as_many_letters_as_there_are_groups() -> None:
    names = [letter(group) for group in range(26 * 27)]
    assert names[:2] + names[25:28] + names[-1:] == ["A", "B", "Z", "AA", "AB", "ZZ"]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_the_page_draws_a_line_for_a_group_and_none_between_groups(
    browser: Browser, run: Run, tmp_path: Path
) -> None:
    runs = {f"r{day}": _made(run, day, commit=f"c{day}") for day in (1, 2, 3)}
    runs["other"] = _made(run, 4, kernel="6.2", commit="c4")
    results = _write(tmp_path / "results", runs)
    (results / "r2" / "report.html").write_text("<!DOCTYPE html>", encoding="utf-8")
    opened = open_file(browser, make_index(results).path)
    page = opened.page
    assert (opened.console, opened.requests) == ([], [])
    charts = page.locator("svg.chart")
    assert charts.count() == 3 * 6
    assert page.locator("svg.chart .line").count() == 3 * 6
    for place in (0, charts.count() - 1):
        assert charts.nth(place).locator(".shape").count() == 4
        assert charts.nth(place).locator(".line").get_attribute("d").count("L") == 2  # type: ignore[union-attr]
    label = charts.first.get_attribute("aria-label") or ""
    assert "2026-01-03 c3 (A)" in label
    assert "2026-01-04 c4 (B)" in label
    assert "kernel: 6.1.0 before, 6.2 here" in (page.locator("#groups").text_content() or "")
    dates = page.locator("#runs tbody th").evaluate_all("(all) => all.map((one) => one.dataset.text)")
    assert dates == sorted(dates, reverse=True)
    page.locator("#runs a", has_text="report.html").click()
    assert page.url == (results / "r2" / "report.html").as_uri()


def test_the_runs_sort_and_a_phone_never_scrolls_sideways(browser: Browser, tmp_path: Path) -> None:
    committed = tmp_path / "results"
    for path in (ROOT / "results").glob("*/run.json"):
        (committed / path.parent.name).mkdir(parents=True)
        shutil.copy(path, committed / path.parent.name)
    page = open_file(browser, make_index(committed).path, 360).page
    lines = page.locator(".runs .opens:not(:first-child) > *").evaluate_all(
        "(all) => all.map((one) => getComputedStyle(one).borderTopColor)"
    )
    assert len({*lines}) == 1, "a line between groups has the colour of no cell"
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#runs th", has_text="valid trials").get_by_role("button").click()
    cells = page.locator("#runs td[data-value]").evaluate_all("(all) => all.map((one) => +one.dataset.value)")
    assert len(cells) >= 5
    assert cells == sorted(cells)


def test_what_is_no_run_is_listed_with_the_reason(browser: Browser, run: Run, tmp_path: Path) -> None:
    results = _write(tmp_path / "results", {"good": run})
    foreign = {
        "half": b'{"schema_version": 2, "created',
        "binary": b"\xff\xfe\x00",
        "list": b"[]",
        "old": b'{"schema_version": 99}',
        "wrong": b'{"schema_version": 2, "trials": 7}',
        "<script>alert(1)</script>": b"{}",
    }
    for name, content in foreign.items():
        (results / name.replace("/", "-")).mkdir()
        (results / name.replace("/", "-") / "run.json").write_bytes(content)
    (results / "empty").mkdir()
    (results / ".hidden").mkdir()
    opened = open_file(browser, make_index(results).path)
    listed = opened.page.locator("#unreadable li").all_text_contents()
    assert len(listed) == len(foreign) + 1
    assert any(line.startswith("empty: no run.json") for line in listed)
    assert all(len(line.split(": ", 1)[1]) > 10 for line in listed)
    assert str(tmp_path) not in opened.page.content()
    assert opened.page.locator("#runs tbody tr").count() == 1
    assert opened.console == []


def test_a_folder_without_a_run_is_a_usage_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bench run") as empty:
        make_index(tmp_path)
    (tmp_path / "foreign").mkdir()
    with pytest.raises(UsageError, match=r"foreign: no run\.json") as foreign:
        make_index(tmp_path)
    with pytest.raises(UsageError, match="no folder gone"):
        make_index(tmp_path / "gone")
    assert "\n" not in str(empty.value) + str(foreign.value)
    assert not (tmp_path / "index.html").exists()


def test_gates_are_listed_with_what_they_said_and_join_no_trend(run: Run, tmp_path: Path) -> None:
    """Services that share a core have no figures of their own: a gate's folder is in no trend and no row."""
    beside = _made(run, 2, settings=RunSettings(side_by_side=OtherCommit("main", "abc1234")))
    results = _write(tmp_path, {"a-run": _made(run, 1), "a-gate": beside, "b-gate": beside})
    (results / "a-gate" / "gate.json").write_text('{"sentence": "Pass: all 4 rules hold"}', encoding="utf-8")
    (results / "a-gate" / "gate.html").write_text("the page", encoding="utf-8")
    (results / "b-gate" / "gate.json").write_text("half of", encoding="utf-8")
    page = make_index(results).path.read_text(encoding="utf-8")
    assert '<a href="a-gate/gate.html">a-gate</a>: Pass: all 4 rules hold' in page
    assert "b-gate: not judged" in page
    assert "1 run," in page


def test_gates_alone_have_a_page_too(browser: Browser, run: Run, tmp_path: Path) -> None:
    beside = _made(run, 2, settings=RunSettings(side_by_side=OtherCommit("main", "abc1234")))
    opened = open_file(browser, make_index(_write(tmp_path, {"a-gate": beside})).path)
    assert (opened.console, opened.requests) == ([], [])
    assert opened.page.locator("h1").text_content() == "1 gate, no run"
    assert opened.page.locator("#gates li").all_text_contents() == ["2026-01-02 03:04, a-gate: not judged"]
    assert opened.page.locator("section").count() == opened.page.locator("nav a").count() == 1


def test_a_folder_that_is_a_run_is_a_usage_error_that_names_the_remedy(run: Run, tmp_path: Path) -> None:
    results = _write(tmp_path, {"a-run": run})
    with pytest.raises(UsageError, match=r"^a-run is a run: name the folder that holds it$"):
        make_index(results / "a-run")


def test_the_head_says_how_many_runs_may_be_joined(run: Run, tmp_path: Path) -> None:
    results = _write(tmp_path, {"a": _made(run, 1)})
    assert "A trend needs a second run." in make_index(results).path.read_text(encoding="utf-8")
    _write(tmp_path, {"b": _made(run, 2, kernel="6.2")})
    apart = "No two of these 2 runs may be joined: what differs is below."
    assert apart in make_index(results).path.read_text(encoding="utf-8")
    _write(tmp_path, {"c": _made(run, 3)})
    joined_page = make_index(results).path.read_text(encoding="utf-8")
    assert "2 groups of runs that may be compared over time." in joined_page
    assert apart not in joined_page


def _void(run: Run) -> Run:
    """The run without a valid trial."""
    return dataclasses.replace(
        run, trials=tuple(dataclasses.replace(one, valid=False) for one in run.trials), objectives=()
    )


def test_runs_that_can_be_compared_stand_together_the_newest_first(run: Run) -> None:
    again = dataclasses.replace(run, command="python -m bench aa --strategies onnx")
    runs = {
        "old": _made(run, 1),
        "other": _made(run, 2, kernel="6.2"),
        "itself": _made(again, 3),
        "new": _made(run, 4),
        "newer": _made(run, 5, kernel="6.2"),
    }
    rows = index_rows(entries([(name, one, summarise(one)) for name, one in runs.items()]))
    assert [(row.entry.name, row.letter, row.opens) for row in rows] == [
        ("newer", "B", True),
        ("other", "B", False),
        ("new", "A", True),
        ("old", "A", False),
        ("itself", "A", True),
    ]
    assert rows[0].measured.startswith("run, ")
    assert rows[-1].measured == rows[0].measured.replace("run, ", "aa, ", 1)
    lines = index_lines(rows, 80)
    assert [line[:1] for line in lines] == ["B", " ", " ", "A", " ", " ", "A", " "]
    assert all(len(line) <= 80 for line in lines)
    assert max(map(len, index_lines(rows, 30))) <= 30


def test_runs_without_a_valid_trial_are_hidden_and_told(run: Run, tmp_path: Path) -> None:
    results = _write(tmp_path, {"good": _made(run, 1), "void": _void(_made(run, 2)), "bad": _void(run)})
    written = make_index(results)
    page = written.path.read_text(encoding="utf-8")
    assert written.hidden == 2
    assert [row.entry.name for row in written.rows] == ["good"]
    assert "2 runs without a valid trial are hidden: `--all` shows every run." in page
    every = make_index(results, every=True)
    assert (every.hidden, len(every.rows)) == (0, 3)
    assert "shows every run" not in every.path.read_text(encoding="utf-8")
    # where there are no others they are all that there is to see
    alone = make_index(_write(tmp_path / "alone", {"void": _void(run)}))
    assert (alone.hidden, len(alone.rows)) == (0, 1)
