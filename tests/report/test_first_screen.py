"""What a reader sees first, and how it looks: report.html in a real browser, at two widths in two schemes."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bench.analysis.run_analysis import analyse
from bench.docs.tables import results_block
from bench.model import OpenLoad, Run, Trial
from bench.report import report_md, terminal_summary
from bench.report.page.run_page import render
from bench.report.plots import PLOTS
from bench.report.report import Report, report_of
from tests.report.browser import (
    Opened,
    broken_rules,
    chromium,
    clipped,
    contrasts,
    open_file,
    overlaps,
    screenshot,
    text_in_sight,
    too_wide,
)
from tests.report.full_run import full
from tests.report.qualities import three_promises
from tests.report.searched_run import searched
from tests.running.doubts import doubt

pytestmark = pytest.mark.slow

SCREENS = {1280: 800, 390: 844}
SCHEMES = ("light", "dark")
TEXT = "p, li, th, td, h1, h2, h3, a, dt, dd, summary, button, code, svg text, span:not(.swatch, .mark)"
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
# how the page of the full run was before it was folded, at 1280 pixels
LONG = 22_837
LAST_LINES = 12
TOLD = re.compile(r"start with (\w+)|(Not told apart in [^.]*)\.|(One round: it proves nothing)|first: (\w+)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def picture(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first picture of the run."""
    folder = tmp_path_factory.mktemp("picture")
    (folder / "plots").mkdir()
    figure = PLOTS["throughput"].draw(analyse(run, folder))
    assert figure is not None
    figure.savefig(folder / "plots" / "throughput.png")
    return folder


@pytest.fixture(scope="module")
def runs(run: Run) -> Mapping[str, Run]:
    """A full comparison, one that tells less apart, one that proves nothing, and a search."""
    return {
        "full": full(run),
        "alike": alike(run),
        "one-round": dataclasses.replace(run, trials=tuple(one for one in run.trials if one.round == 1)),
        "searched": searched(run),
        "qualities": three_promises(run),
    }


@pytest.fixture(scope="module")
def reports(runs: Mapping[str, Run], picture: Path) -> Mapping[str, Report]:
    drawn = [Path("plots/throughput.png")]
    return {name: report_of(analyse(one, picture), picture, drawn) for name, one in runs.items()}


@pytest.fixture(scope="module")
def pages(reports: Mapping[str, Report], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(render(report), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


@pytest.fixture
def opened(browser: Browser, pages: Mapping[str, Path]) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def one(name: str, width: int = 1280, **options: object) -> Opened:
        found = open_file(browser, pages[name], width, SCREENS[width], **options)
        contexts.append(found.page.context)
        return found

    yield one
    for context in contexts:
        context.close()


def alike(run: Run) -> Run:
    """The small payloads of the run; batched answers as much as onnx, a little more in every other round."""
    rates = {
        (one.payload_class, one.round): one.throughput_rps for one in run.trials if one.strategy == "onnx"
    }

    def changed(trial: Trial) -> Trial:
        rate = rates[trial.payload_class, trial.round]
        if trial.strategy != "batched" or rate is None:
            return trial
        return dataclasses.replace(trial, throughput_rps=rate * (1 + 0.01 * (-1) ** trial.round))

    trials = tuple(changed(one) for one in run.trials if one.payload_class == "small")
    return dataclasses.replace(run, trials=trials, planned_trials=len(trials))


@pytest.mark.parametrize("width", SCREENS)
@pytest.mark.parametrize(("name", "rows"), [("full", 6), ("alike", 3)])
def test_the_first_screen_has_the_verdict_the_table_and_the_picture(
    opened: Callable[..., Opened], reports: Mapping[str, Report], width: int, name: str, rows: int
) -> None:
    page = opened(name, width).page
    seen = text_in_sight(page)
    assert reports[name].choice.replace("\N{NO-BREAK SPACE}", " ") in seen
    figures = page.locator("#key-figures tbody tr")
    bottoms = figures.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().bottom)")
    assert len(bottoms) == rows
    assert max(bottoms) <= SCREENS[width]
    for header in ("strategy", "requests/s", "throughput ratio to torch"):
        assert header in seen
    box = page.locator("#key-figures img").bounding_box()
    assert box is not None
    if (width, rows) != (390, 6):  # more rows than a phone has room for
        assert box["y"] + box["height"] / 2 <= SCREENS[width], "at least half of the picture"
    order = page.locator(".verdict, .key, #key-figures img, nav").evaluate_all(
        "(all) => all.map((one) => one.className || one.tagName)"
    )
    assert order == ["verdict", "sortable key", "IMG", "NAV"]


def test_the_page_is_half_as_long_as_it_was_and_as_all_that_is_in_it(opened: Callable[..., Opened]) -> None:
    page = opened("full").page
    height = "document.documentElement.scrollHeight"
    folded = page.evaluate(height)
    page.evaluate(OPEN_ALL)
    assert folded < LONG / 2
    assert folded < page.evaluate(height) / 2
    hidden = page.locator("table, li, img").evaluate_all(
        "(all) => all.filter((e) => !e.checkVisibility()).length"
    )
    assert hidden == 0, "all is reached by opening"


def test_a_link_to_what_is_folded_away_opens_it(opened: Callable[..., Opened]) -> None:
    page = opened("full").page
    table = page.locator("#startup table").first
    assert not table.is_visible()
    page.locator("nav a", has_text="Startup").click()
    assert table.is_visible()


def test_a_table_stands_once_in_the_page_and_in_the_markdown(reports: Mapping[str, Report]) -> None:
    """A ratio stands in its comparison, and that of requests in the key figures too."""
    page, markdown = render(reports["full"]), report_md.render(reports["full"])
    tables = re.findall(r"<tbody>.*?</tbody>", page, re.DOTALL)
    assert len(set(tables)) == len(tables) > 15
    blocks = ["\n".join(block) for block in _tables(markdown)]
    assert len(set(blocks)) == len(blocks) > 15
    ratio = re.compile(r"2\.3\d\S \(2\.\d\d\S2\.\d\d\)")
    (said, *_) = ratio.findall(markdown)
    assert markdown.count(said) <= 2


def _tables(markdown: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [one for one in found if one]


@pytest.mark.parametrize("name", ["full", "alike", "one-round"])
def test_the_page_the_terminal_and_the_readme_name_the_same_strategy_and_what_is_not_proven(
    opened: Callable[..., Opened], runs: Mapping[str, Run], name: str
) -> None:
    run = runs[name]
    told = {
        "terminal": " ".join(" ".join(terminal_summary(run, 100).splitlines()[-LAST_LINES:]).split()),
        "readme": " ".join(results_block(run, "results/x", "splice").split()),
        "page": text_in_sight(opened(name).page),
        "phone": text_in_sight(opened(name, 390).page),
    }
    said = {where: _said(words) for where, words in told.items()}
    assert said["terminal"] == said["readme"] == said["page"] == said["phone"]
    picked = {"full": "onnx", "alike": "onnx", "one-round": None}[name]
    assert (picked in said["page"]) == (picked is not None)
    open_ends = {"alike": "Not told apart in requests/s: onnx and batched"}
    open_ends["one-round"] = "One round: it proves nothing"
    assert name == "full" or open_ends[name] in said["page"]


def _said(words: str) -> set[str]:
    """The strategy to start with, and what is not proven, as a text says it."""
    return {part for found in TOLD.findall(words) for part in found if part}


def test_a_screen_of_any_width_and_scheme_can_be_read(
    opened: Callable[..., Opened], pages: Mapping[str, Path]
) -> None:
    """No page scrolls sideways, no text lies over another or is cut off, and all stands out."""
    for name in pages:
        page = opened(name).page
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            for width, height in SCREENS.items():
                page.set_viewport_size({"width": width, "height": height})
                screenshot(page, f"{name}-{width}-{scheme}.png")
        page.evaluate(OPEN_ALL)
        for width, height in SCREENS.items():
            page.set_viewport_size({"width": width, "height": height})
            assert (name, page.evaluate("document.documentElement.scrollWidth")) == (name, width)
            assert (name, width, clipped(page), overlaps(page)) == (name, width, [], [])
        # every colour that a page of a run has is in one of these
        for scheme in SCHEMES if name in ("full", "one-round") else ():
            page.emulate_media(color_scheme=scheme)
            assert min(contrasts(page, TEXT))[0] >= 4.5, (name, scheme, min(contrasts(page, TEXT)))


def test_the_tables_that_are_read_first_fit_a_wide_screen(opened: Callable[..., Opened]) -> None:
    """Neither is a figure cut through nor is a column's sign."""
    page = opened("full").page
    assert too_wide(page, "#key-figures .scroll:has(table)") == []
    assert too_wide(page, "#throughput-and-latency .scroll:has(table)") == []
    heads = page.locator("#throughput-and-latency table").first.locator("th[scope=col]").all_text_contents()
    assert heads[:6] == ["load", "strategy", "requests/s", "p50 ms", "p99 ms", "of capacity"]
    assert too_wide(opened("full", 390).page, "#key-figures .scroll:has(table)"), "a phone has less room"


@pytest.mark.parametrize("width", SCREENS)
def test_a_rule_goes_from_the_pinned_name_through_to_the_last_column(
    opened: Callable[..., Opened], width: int, tmp_path: Path
) -> None:
    page = opened("full", width).page
    assert broken_rules(page, "#key-figures table", tmp_path / "shot.png") == []
    page.add_style_tag(content="#key-figures tbody tr:nth-child(2) .pin { border-color: transparent }")
    assert broken_rules(page, "#key-figures table", tmp_path / "shot.png") == [1], "the check sees a gap"


def test_the_quality_of_a_strategy_stands_in_sight_beside_its_speed(opened: Callable[..., Opened]) -> None:
    for width in SCREENS:
        page = opened("qualities", width).page
        assert "If answers that agree with the reference's on 98.9%" in text_in_sight(page)
        words = page.locator("#key-figures tbody .pin .word").all_text_contents()
        assert words[:5] == ["exact", "exact", "exact", "bounded 0.05", "agreement 98.9%"]
    marks = (
        opened("qualities").page.locator("#key-figures tbody tr", has_text="onnx_int8").all_text_contents()
    )
    assert len(marks) == 2
    assert all("\N{DAGGER}" in one for one in marks)


def test_the_head_of_a_name_stands_on_top_on_a_phone(opened: Callable[..., Opened]) -> None:
    page = opened("full", 390).page
    above = page.locator("#key-figures thead .pin button").evaluate(
        "(one) => one.getBoundingClientRect().top - one.closest('thead').getBoundingClientRect().top"
    )
    assert above < 16


def test_what_is_compared_is_named_in_a_line_with_a_word_between_the_two(
    opened: Callable[..., Opened],
) -> None:
    page = opened("full", 390).page
    page.evaluate(OPEN_ALL)
    names = page.locator("#comparisons table").last.locator("tbody .under").all_text_contents()
    assert "small, 50 clients, against onnx, requests/s" in names
    assert all(name.count("against") == 1 for name in names)
    assert all(name.count("small") + name.count("seed") == 1 for name in names)


def test_the_checks_of_a_screen_see_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "wrong.html").write_text(
        "<p style='color: #999; margin: 0'>pale</p><p style='margin: -0.8em 0 0'>over it</p>"
        "<p style='width: 2em; overflow: hidden; white-space: nowrap'>longer than that</p>"
        "<svg width='90' height='20'><text y='15' fill='#ddd'>svg</text></svg>",
        encoding="utf-8",
    )
    page = open_file(browser, tmp_path / "wrong.html").page
    assert overlaps(page) == ["pale | over it"]
    assert len(clipped(page)) == 1
    pale = [name for ratio, name in contrasts(page, "p, svg text") if ratio < 4.5]
    assert [one.split(".")[0] for one in pale] == ["P", "text"]
    page.context.close()


def test_the_whole_cell_of_a_header_sorts(opened: Callable[..., Opened]) -> None:
    page = opened("full").page
    header = page.locator("#key-figures thead th", has_text=re.compile("^requests/s"))
    box = header.bounding_box()
    assert box is not None
    for x, y, expected in ((2.0, 2.0, "ascending"), (box["width"] - 3, box["height"] - 3, "descending")):
        page.mouse.click(box["x"] + x, box["y"] + y)
        assert header.get_attribute("aria-sort") == expected


def test_paper_shows_the_bars_of_the_key_figures_and_what_is_folded_away(
    opened: Callable[..., Opened],
) -> None:
    page = opened("full").page
    page.emulate_media(media="print")
    for part in (".bar", ".swatch"):
        style = page.locator(part).first.evaluate("(one) => getComputedStyle(one).printColorAdjust")
        assert style == "exact", part
    heights = page.locator("details > :last-child").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert len(heights) > 10
    assert min(heights) > 0


def test_a_trial_that_is_left_out_is_told_beside_its_figures(opened: Callable[..., Opened]) -> None:
    page = opened("full").page
    row = page.locator("#key-figures tbody tr", has_text="onnx").first
    assert "1 of 6 trials left out" in (row.text_content() or "")
    beside = page.locator("#throughput-and-latency li").all_text_contents()
    assert any(one.startswith("onnx, 50 clients: 1 trial, INVALID and left out: ") for one in beside)
    assert page.locator("#beware li").all_text_contents()[0].startswith("the host's governor")


def test_an_overload_is_told_once_in_a_row(browser: Browser, run: Run, tmp_path: Path) -> None:
    over = doubt("overloaded: response times grow", "overloaded", cause="service")
    load = OpenLoad(300.0, 2.0, 8.0)
    trials = tuple(
        dataclasses.replace(one, load=load, doubts=(dataclasses.replace(over, voids=False),), samples=None)
        for one in run.trials
        if one.payload_class == "small"
    )
    loaded = dataclasses.replace(run, trials=trials, planned_trials=len(trials))
    path = tmp_path / "report.html"
    path.write_text(render(report_of(analyse(loaded, tmp_path))), encoding="utf-8")
    opened = open_file(browser, path)
    rows = opened.page.locator("#key-figures tbody tr").all_text_contents()
    assert [row.count("overloaded in 6 of 6") for row in rows] == [1, 1, 1]
    opened.page.context.close()


def test_green_and_red_are_for_differences_of_the_same_load_alone(opened: Callable[..., Opened]) -> None:
    """Latencies have them at equal rates alone; and a word says what the colour says."""
    page = opened("full").page
    page.evaluate(OPEN_ALL)
    coloured = page.locator("td:has(.better, .worse)").evaluate_all(
        """(all) => all.map((one) => [
          one.closest("table").caption.textContent,
          one.closest("table").tHead.rows[0].cells[one.cellIndex].textContent.split(",")[0],
          one.parentElement.querySelector(".case, .payloads").textContent,
          one.querySelector(".word").textContent,
        ])"""
    )
    assert len(coloured) > 10
    assert all(word for *_, word in coloured)
    assert not [one for one in coloured if one[0] == "Cases of a strategy" or "of capacity" in one[2]]
    late = [case for _, metric, case, _ in coloured if metric in ("p50 ms", "p99 ms")]
    assert late
    assert all("requests/s" in case for case in late)
    assert any("clients" in case for _, metric, case, _ in coloured if metric == "requests/s")
