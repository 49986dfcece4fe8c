"""The picture of a sweep: values in their order, a line for each other setting, and what it says in words."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.analysis.run_analysis import RunAnalysis, analyse
from bench.analysis.summary import summarise
from bench.analysis.sweeps import Sweep
from bench.model import Run, StrategyResult, Variant
from bench.report import plots, write_report
from bench.report.choice_sentence import choice_sentence
from bench.report.plots import style
from bench.report.plots.sweep import LONGEST, axis_of, value_labels
from bench.report.text import MISSING
from tests.gate.runs import EQUAL, run_of, times

Write = Callable[[Run, Path], Path]
SWEEP = plots.PLOTS["sweep"]


def analysed(settings: Mapping[str, Mapping[str, str]], factors: tuple[float, ...]) -> RunAnalysis:
    """Variants of onnx by name, the nth this many times as fast as the first."""
    return analyse(swept(settings, factors), Path("nowhere"))


def swept(settings: Mapping[str, Mapping[str, str]], factors: tuple[float, ...]) -> Run:
    run = run_of({name: times(factor) for name, factor in zip(settings, factors, strict=True)})
    strategies = {
        name: StrategyResult("ONNX", None, None, variant=Variant("onnx", given))
        for name, given in settings.items()
    }
    return replace(run, strategies=strategies)


def drawn(analysis: RunAnalysis) -> Any:
    with style.settings():
        figure = SWEEP.draw(analysis)
    assert figure is not None
    return figure


def test_values_stand_in_their_order_with_what_they_gave() -> None:
    analysis = analysed({"b": {"A": "8"}, "a": {"A": "2"}, "c": {"A": "4"}}, (1.0, 2.0, 3.0))
    above, below = drawn(analysis).axes
    (line,) = above.lines
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["2", "4", "8"]
    rates = [analysis.summary.rows[name, analysis.summary.focus[0]].estimates["throughput"] for name in "acb"]
    assert list(line.get_ydata()) == [one.centre for one in rates if one]
    assert (above.get_ylabel(), above.get_ylim()[0]) == ("requests/s", 0)
    p99, p50 = below.lines
    assert list(p99.get_xdata()) == list(p50.get_xdata()) == [2.0, 4.0, 8.0]
    ends = {tuple(one[:, 1]) for found in above.collections for one in found.get_segments()}
    assert ends == {(one.low, one.high) for one in rates if one}
    assert above.get_xlabel() == below.get_xlabel() == "A"
    assert SWEEP.describe(analysis).startswith(
        "requests answered and latency over the values of a setting. Requests/s of onnx, small: A=2 20"
    )


def test_a_second_setting_has_a_line_for_each_of_its_values() -> None:
    named = {f"n{a}{b}": {"A": a, "B": b} for a in ("1", "2") for b in ("x", "y")}
    above, below = drawn(analysed(named, (1.0, 1.1, 1.2, 1.3))).axes
    assert [line.get_label() for line in above.lines] == ["B=x", "B=y"]
    assert [one.get_text() for one in above.get_legend().texts] == ["B=x", "B=y"]
    assert [one.get_text() for one in below.get_legend().texts] == ["B=x", "B=y", "p99", "p50"]
    assert len({line.get_color() for line in above.lines}) == 2


def test_a_legend_of_capitals_stays_in_the_picture() -> None:
    named = {f"n{a}{b}": {"MAX_BATCH": a, "MAX_WAIT_MS": b} for a in ("1", "8") for b in ("0", "5")}
    figure = drawn(analysed(named, (1.0, 1.1, 1.2, 1.3)))
    with style.settings():
        FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        assert axes.get_legend().get_window_extent().x1 <= figure.bbox.x1


def test_a_variant_without_a_figure_leaves_a_gap() -> None:
    run = swept({"a": {"A": "1"}, "b": {"A": "2"}, "c": {"A": "3"}}, (1.0, 1.0, 1.0))
    run = replace(run, trials=tuple(replace(one, valid=one.strategy != "b") for one in run.trials))
    above, _ = drawn(analyse(run, Path("nowhere"))).axes
    assert list(above.lines[0].get_xdata()) == [1.0, 3.0]
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["1", "2", "3"]
    assert "A=2" not in SWEEP.describe(analyse(run, Path("nowhere")))


def test_a_run_without_variants_has_no_such_picture() -> None:
    plain = analyse(run_of({"onnx": EQUAL}), Path("nowhere"))
    assert SWEEP.draw(plain) is None
    assert MISSING in SWEEP.describe(plain)


@pytest.mark.parametrize(
    ("numbers", "places", "label"),
    [
        ((1.0, 2.0, 4.0), (1.0, 2.0, 4.0), "A"),
        ((1.0, 8.0, 32.0), (1.0, 8.0, 32.0), "A"),
        ((1.0, 2.0, 32.0), (0.0, 1.0, 5.0), "A (log)"),
        ((0.0, 1.0, 1000.0), (0.0, 1.0, 2.0), "A (not to scale)"),
        ((-2.0, -1.0), (-2.0, -1.0), "A"),
        ((1.0, 1.0), (0.0, 1.0), "A (not to scale)"),
        (None, (0.0, 1.0), "A"),
    ],
)
def test_an_axis_is_to_scale_where_its_labels_have_room(
    numbers: tuple[float, ...] | None, places: tuple[float, ...], label: str
) -> None:
    values = tuple(map(str, numbers or ("fast", "slow")))
    axis = axis_of(Sweep("onnx", "A", values, numbers, {}))
    assert (axis.places, axis.label) == (places, label)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (("1", "2", "16"), ["1", "2", "16"]),
        (("/models/a.onnx", "/models/b.onnx"), ["…a…", "…b…"]),
        (("/models/a.onnx", "/models/b.onnx", "none"), ["/models/a.onnx", "/models/b.onnx", "none"]),
        (("in-the-same-words", "in-the-same-words-and-more"), ["…", "…-and-more"]),
        (("x" * 20 + "1" * 20, "y"), ["x" * 12 + "…" + "1" * 11, "y"]),
    ],
)
def test_a_long_value_is_written_without_what_all_have(values: tuple[str, ...], labels: list[str]) -> None:
    assert value_labels(values) == labels
    assert all(len(label) <= LONGEST for label in labels)


def test_names_of_many_values_stand_aslant_below_the_panel() -> None:
    words = ("as-quick-as-it-can", "usual", "with-more-than-enough-care")
    named = {f"n{place}": {"A": word} for place, word in enumerate(words)}
    left, _ = drawn(analysed(named, (1.0, 1.1, 1.2))).axes
    assert [tick.get_rotation() for tick in left.get_xticklabels()] == [30, 30, 30]
    few, _ = drawn(analysed({"a": {"A": "1"}, "b": {"A": "2"}}, (1.0, 1.1))).axes
    assert [tick.get_rotation() for tick in few.get_xticklabels()] == [0, 0]


@pytest.mark.slow
def test_the_report_shows_the_picture_and_names_the_variants(write_folder: Write, tmp_path: Path) -> None:
    run = swept({"onnx-threads-1": {"THREADS": "1"}, "onnx-threads-2": {"THREADS": "2"}}, (1.0, 1.5))
    folder = write_folder(run, tmp_path / "run")
    write_report(folder)
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "![sweep](plots/sweep.png) ([SVG](plots/sweep.svg))" in markdown
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="picture-sweep"' in page
    assert page.index(">Variants</h2>") < page.index('id="picture-sweep"')
    told = " ".join(markdown.split())
    assert "onnx-threads-2 serves 1.5 times the requests of onnx-threads-1" in told
    assert "start with onnx-threads-2 (THREADS=2)." in told
    _, _, below = markdown.partition("## Variants")
    assert "| strategy | of | THREADS |" in below
    assert "| onnx-threads-1 | onnx | 1 |" in below
    assert "| onnx-threads-2 | onnx | 2 |" in below


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (
            (1.0, 1.4, 2.0, 0.7, 1.2),
            "of 5 strategies n2 serves the most, 2.0 times the requests of n0, and n3 the fewest",
        ),
        (
            (1.0, 1.4, 2.0, 1.1, 1.2),
            "of 5 strategies n2 serves the most, 2.0 times the requests of n0, which serves the fewest",
        ),
        (
            (1.0, 0.9, 0.8, 0.7, 0.5),
            "of 5 strategies n0 serves the most and n4 the fewest, 0.5 times its requests",
        ),
    ],
)
def test_of_many_variants_the_sentence_names_the_best_and_the_last(
    factors: tuple[float, ...], said: str
) -> None:
    run = swept({f"n{place}": {"A": str(place)} for place in range(5)}, factors)
    told = choice_sentence(run, summarise(run))
    assert f"With small payloads, {said}." in told
    best = max(range(5), key=lambda place: factors[place])
    assert f"start with n{best} (A={best})." in told


def test_what_nothing_tells_apart_is_counted_if_it_is_much() -> None:
    run = swept({f"n{place}": {"A": str(place)} for place in range(7)}, (1.0,) * 7)
    told = choice_sentence(run, summarise(run))
    assert "Nothing tells these 7 strategies apart: take what is simplest to run." in told
    assert " and 2 more." in told
