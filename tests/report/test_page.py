"""report.html in a real browser, and the pure parts that it is made of."""

import dataclasses
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bench.analysis.run_analysis import RunAnalysis, analyse
from bench.analysis.summary import summarise
from bench.gate.judgement import judge
from bench.model import Environment, Run
from bench.report import cells, write_report
from bench.report.document import (
    Bullets,
    Cell,
    Column,
    Heading,
    Section,
    Strong,
    Table,
    name_column,
    paragraph,
    table,
)
from bench.report.page import pictures, run_page
from bench.report.page.run_page import render
from bench.report.plots import PLOTS
from bench.report.report import report_of
from bench.report.sections import SECTIONS
from bench.report.text import MIB, spaced
from bench.report.verdict import verdict_page
from bench.report.writers.html import blocks
from bench.run_file import read_run, write_run
from bench.statistics import Comparison, Estimate
from tests.gate.runs import EQUAL, beside, throughput_rules, times
from tests.report.browser import Opened, chromium, contrasts, open_file
from tests.report.full_run import full
from tests.running.doubts import doubt

pytestmark = pytest.mark.slow

# the width of A4 within its margins, in CSS pixels
PAPER = 688
ROOT = Path(__file__).parents[2]
TEXT = "p, li, th, td, h1, h2, h3, a, dt, dd, summary, button, code, span:not(.swatch, .mark)"
HOSTILE = """<script>document.title='owned'</script>"><img src=x onerror="document.title='owned'"> & 'q' |"""
TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def path(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run's folder, with the few pictures of a run without samples."""
    folder = tmp_path_factory.mktemp("page")
    trials = [one for one in run.trials if one.payload_class == "small" and one.round < 3]
    short = dataclasses.replace(
        run,
        trials=tuple(dataclasses.replace(one, samples=None) for one in trials),
        planned_trials=len(trials),
        strategies={name: dataclasses.replace(one, startup=None) for name, one in run.strategies.items()},
    )
    write_run(short, folder)
    assert folder / "report.html" in write_report(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def everything(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section, and the longest tables, but without pictures."""
    folder = tmp_path_factory.mktemp("everything")
    (folder / "report.html").write_text(render(report_of(analyse(full(run), folder))), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def plain(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two payload classes and one load, without pictures."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "report.html").write_text(render(report_of(analyse(run, folder))), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a gate of many rules, whose command is longer than a line."""
    names = ("onnx", "torch", "batched")
    batch = beside(dict.fromkeys(names, EQUAL), dict.fromkeys(names, times(0.86)))
    judged = judge(throughput_rules(*names), batch, batch)
    facts = {f"fact_{place}": "a" * 90 for place in range(60)}
    head = dataclasses.replace(
        judged.head,
        command=f"python -m bench gate {'--against=main' * 12}",
        environment=Environment(libraries=facts),
    )
    found = dataclasses.replace(judged, head=head)
    path = tmp_path_factory.mktemp("gate") / "gate.html"
    path.write_text(verdict_page.render(found), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, plain: Path) -> Iterator[Opened]:
    found = open_file(browser, plain)
    yield found
    found.page.context.close()


def test_it_opens_from_a_file_with_its_pictures_and_without_a_word_or_a_request(
    browser: Browser, path: Path
) -> None:
    opened = open_file(browser, path)
    assert opened.console == []
    assert opened.requests == []
    assert opened.page.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    alts = opened.page.eval_on_selector_all("img", "(all) => all.map((one) => one.alt)")
    assert len(alts) == len(list((path.parent / "plots").glob("*.png"))) > 2
    first = opened.page.locator("img").first
    assert first.evaluate("(one) => one.closest('section').id") == "key-figures"
    assert all(len(alt) > 40 for alt in alts)
    (throughput,) = [alt for alt in alts if alt.startswith("Throughput:")]
    assert re.search(r"onnx 2\d\d \(", throughput)


def test_the_verdict_stands_above_all_else(opened: Opened) -> None:
    texts = opened.page.eval_on_selector_all("header p", "(all) => all.map((one) => one.textContent)")
    assert texts[0] == "All 36 trials valid"
    assert texts[1].startswith("On one core, with small payloads, onnx serves 2.3 times")
    assert "start with onnx" in texts[1]
    assert opened.page.locator("#key-figures tbody tr").count() == 6


def test_headings_are_in_order_and_landmarks_are_there(browser: Browser, everything: Path) -> None:
    opened = open_file(browser, everything)
    levels = opened.page.eval_on_selector_all("h1, h2, h3, h4", "(all) => all.map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("header", "nav[aria-label]", "main"):
        assert opened.page.locator(landmark).count() == 1
    assert opened.page.evaluate("document.documentElement.lang") == "en"
    broken = "(all) => all.filter((one) => !document.querySelector(one.getAttribute('href'))).length"
    assert opened.page.eval_on_selector_all("a[href^='#']", broken) == 0
    assert opened.page.evaluate("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size") == (
        opened.page.locator("[id]").count()
    )


def test_every_table_has_a_caption_and_headers_with_a_scope(browser: Browser, everything: Path) -> None:
    page = open_file(browser, everything).page
    assert page.locator("table").count() > 15
    assert page.locator("table:not(:has(> caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("tbody tr:not(:has(> th[scope=row]))").count() == 0
    assert page.locator("table").evaluate_all("(all) => all.every((one) => one.closest('[tabindex=\"0\"]'))")


def _column(opened: Opened, table: str, header: str) -> list[str]:
    """The cells of a column, from the top."""
    return opened.page.locator(table).evaluate(
        """(table, header) => {
          const place = [...table.tHead.rows[0].cells].findIndex((one) => one.textContent.trim() === header);
          return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent.trim());
        }""",
        header,
    )


def shown(cell: str) -> float:
    """The figure that a cell of the page begins with."""
    return float(cell.split(" ")[0].replace("\N{NO-BREAK SPACE}", ""))


def test_a_click_sorts_by_value_and_a_second_one_the_other_way(opened: Opened) -> None:
    page, table = opened.page, "#key-figures table"
    header = page.locator(f"{table} th", has_text="requests/s")
    header.get_by_role("button").click()
    values = [shown(cell) for cell in _column(opened, table, "requests/s")]
    assert values == sorted(values, key=lambda value: value or 0)
    assert header.get_attribute("aria-sort") == "ascending"
    assert page.locator("[role=status]").text_content() == "Sorted by requests/s, ascending."
    header.get_by_role("button").click()
    assert [shown(cell) for cell in _column(opened, table, "requests/s")] == values[::-1]
    assert header.get_attribute("aria-sort") == "descending"
    assert page.locator(f"{table} th[aria-sort=none]").count() > 3


def test_the_keyboard_sorts_and_keeps_its_place(opened: Opened) -> None:
    page, table = opened.page, "#key-figures table"
    button = page.locator(f"{table} th", has_text="strategy").get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    assert _column(opened, table, "strategy")[0].startswith("batched")
    page.keyboard.press("Space")
    assert _column(opened, table, "strategy")[0].startswith("torch")
    assert button.evaluate("(one) => one === document.activeElement")
    assert button.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"


def test_the_first_tab_leads_past_the_navigation(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").evaluate("(one) => one.getBoundingClientRect().top >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("clicks", [1, 2])
def test_what_is_missing_stands_last_either_way(browser: Browser, tmp_path: Path, clicks: int) -> None:
    sizes = [
        cells.mebibytes(1116 * MIB),
        cells.MISSING,
        cells.mebibytes(98.5 * MIB),
        cells.BLANK,
        cells.ratio(Estimate(2.33, 1.98, 2.74, 6)),
        cells.p_value(0.0004),
        cells.words("never held"),
    ]
    rows = [[cells.count(place), size] for place, size in enumerate(sizes)]
    section = Section("Sizes", (table([name_column("what"), Column("size")], rows),))
    page_path = tmp_path / "page.html"
    page_path.write_text(render(report_of(_nothing(), extra=[section])), encoding="utf-8")
    opened = open_file(browser, page_path)
    for _ in range(clicks):
        opened.page.locator("#sizes th", has_text="size").get_by_role("button").click()
    ratio = f"2.33{TIMES} (1.98\N{EN DASH}2.74)"
    known = ["<0.001", ratio, "98.5 MiB", f"{spaced(1116)} MiB"]
    found = _column(opened, "#sizes table", "size")
    assert found[:4] == (known if clicks == 1 else known[::-1])
    assert found[4:] == ["n/a", "", "never held"]


def _nothing() -> RunAnalysis:
    """The analysis of a run in which nothing was measured."""
    empty = Run(2, "2026-01-02T03:04:05Z", "bench run", "compose", False, 0, Environment(), (), {}, ())
    return analyse(empty, Path())


def test_a_phone_never_scrolls_the_page_sideways(
    browser: Browser, path: Path, everything: Path, gate: Path
) -> None:
    for one in (path, everything, gate):
        page = open_file(browser, one, 360).page
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.locator(".scroll").evaluate_all(
            "(all) => all.some((one) => one.scrollWidth > one.clientWidth)"
        )


def test_a_gate_opens_without_a_word_or_a_request_and_folds_its_environment(
    browser: Browser, gate: Path
) -> None:
    opened = open_file(browser, gate)
    assert (opened.console, opened.requests) == ([], [])
    assert opened.page.locator("#rules tbody tr").count() == 3
    last = opened.page.locator("#environment td").last
    assert not last.is_visible()
    opened.page.locator("#environment summary", has_text="All 60 facts").click()
    assert last.is_visible()


IN_SIGHT = """(box) => {
  box.scrollLeft = 1e4;
  const left = box.getBoundingClientRect().left, names = [...box.querySelectorAll(".pin")];
  const seen = (one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    scrollTo(0, scrollY + y - 100);
    const at = one.getBoundingClientRect();
    return one.contains(document.elementFromPoint(at.x + width / 2, at.y + height / 2));
  };
  const inside = names.filter((one) => one.getBoundingClientRect().x >= left);
  return [box.scrollLeft, names.length, inside.filter(seen).length];
}"""


@pytest.mark.parametrize("width", [360, 800])
@pytest.mark.parametrize("section", ["throughput-and-latency", "comparisons"])
def test_a_wide_table_that_is_scrolled_still_names_its_rows_and_its_first_column(
    browser: Browser, everything: Path, width: int, section: str
) -> None:
    page = open_file(browser, everything, width).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    tables = page.locator(f"#{section} .scroll")
    box = tables.first if section == "throughput-and-latency" else tables.last
    assert box.locator(".pin").all_text_contents()[0] == "strategy"
    scrolled, names, seen = box.evaluate(IN_SIGHT)
    assert scrolled > 0
    assert seen == names > 3
    case = box.locator("tbody .pin .under").last
    assert case.is_visible() == (width == 360)
    if section == "comparisons":
        assert re.fullmatch(r".*, .*, CPU-ms per request", case.text_content() or "")


def test_a_phone_shows_a_picture_whole_and_the_keyboard_its_full_size(browser: Browser, path: Path) -> None:
    page = open_file(browser, path, 360).page
    card = page.locator("#picture-throughput")
    image = card.locator("img")
    natural = int(image.get_attribute("width") or 0)
    width = "(one) => one.getBoundingClientRect().width"
    assert image.evaluate(width) < 360 < natural
    for link, expected in (("Full size", True), ("Fit to the screen", False)):
        card.get_by_role("link", name=link).focus()
        page.keyboard.press("Enter")
        assert (abs(image.evaluate(width) - natural) < 1) == expected
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_wide_page_shows_pictures_in_their_own_size_two_beside_each_other(
    browser: Browser, path: Path
) -> None:
    page = open_file(browser, path).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    whole = page.locator(".sections").evaluate("(one) => one.clientWidth")
    found = page.locator(".sections .card img").evaluate_all(
        "(all) => all.map((one) => [+one.getAttribute('width'), one.clientWidth,"
        " one.closest('.card').offsetWidth])"
    )
    assert len(found) > 1
    for natural, shown, card in found:
        assert shown == natural
        assert 2 * card < whole
    assert page.locator(".sections").locator(".enlarge:visible, .fit:visible").count() == 0
    first = page.locator(".answer img")
    assert first.evaluate("(one) => one.clientWidth <= +one.getAttribute('width')"), (
        "it leaves the table room"
    )
    page.locator(".answer .enlarge").click()
    assert first.evaluate("(one) => one.clientWidth === +one.getAttribute('width')")


def test_ranks_and_figures_amid_words_do_not_sort_and_bounds_sort_as_figures(
    browser: Browser, tmp_path: Path
) -> None:
    columns = [name_column("what"), Column("bound"), Column("phases", sortable=False)]
    bounds = [
        [Cell(what), Cell(f"≤ {spaced(size)} ms", value=size), Cell(f"run 0.3, ready {size}")]
        for what, size in zip("abc", (366, 2336, 9), strict=True)
    ]
    places = (name_column(""), Column("torch", "text"), Column("onnx", "text"))
    ranks = ((Cell("1"), Cell("a 7 MiB"), Cell("b 8 MiB")), (Cell("2"), Cell("c 6 MiB"), Cell("d 7 MiB")))
    extra = [
        Section("Bounds", (table(columns, bounds),)),
        Section("Ranks", (Table(places, ranks, sortable=False),)),
    ]
    page_path = tmp_path / "page.html"
    page_path.write_text(render(report_of(_nothing(), extra=extra)), encoding="utf-8")
    opened = open_file(browser, page_path)
    assert opened.page.locator("#ranks button").count() == 0
    assert opened.page.locator("#bounds button").all_text_contents() == ["what", "bound"]
    opened.page.locator("#bounds button", has_text="bound").click()
    assert _column(opened, "#bounds table", "what") == ["c", "a", "b"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser: Browser, everything: Path, scheme: str) -> None:
    page = open_file(browser, everything, color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = contrasts(page, TEXT)
    assert len(found) > 500
    assert min(found)[0] >= 4.5, min(found)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_paper_shows_every_section_and_what_was_folded_away(browser: Browser, everything: Path) -> None:
    page = open_file(browser, everything).page
    titles = page.eval_on_selector_all("h2", "(all) => all.map((one) => one.textContent)")
    pdf = page.pdf(outline=True, tagged=True)
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type ?/Page\b", pdf)) > 3
    outline = [found.replace(rb"\'", b"'").decode() for found in re.findall(rb"/Title \((.*?)\)\n", pdf)]
    assert set(titles) <= set(outline)
    page.set_viewport_size({"width": PAPER, "height": 975})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == PAPER, "no table is cut"
    assert page.locator("nav").is_hidden()
    assert page.locator("#environment td").last.evaluate("(one) => one.getBoundingClientRect().height") > 0
    assert page.locator("details[open]").count() == 0, "it is shown on paper without being opened"


def test_an_address_that_cannot_be_decoded_spoils_nothing(browser: Browser, everything: Path) -> None:
    page = open_file(browser, everything).page
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{everything.as_uri()}#100%")
    page.reload()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0
    assert errors == []


def test_without_a_script_all_is_there_and_nothing_pretends_to_sort(browser: Browser, plain: Path) -> None:
    opened = open_file(browser, plain, java_script_enabled=False)
    assert opened.page.get_by_role("button").count() == 0
    assert opened.page.locator("#key-figures tbody tr").count() == 6
    assert opened.page.locator("h2").count() > 8
    opened.page.locator("#environment summary").click()
    assert opened.page.locator("#environment td").first.is_visible()


def test_what_a_container_or_a_label_says_is_shown_as_text(
    browser: Browser, run: Run, tmp_path: Path
) -> None:
    first, *rest = run.trials
    failed = dataclasses.replace(
        first,
        valid=False,
        samples=None,
        error=doubt(HOSTILE),
        doubts=(doubt("[x](javascript:alert(1))\n# owned"),),
    )
    hostile = dataclasses.replace(
        run,
        command=f"bench run {HOSTILE}",
        trials=(failed, *(dataclasses.replace(trial, samples=None) for trial in rest)),
        strategies={name: dataclasses.replace(one, title=HOSTILE) for name, one in run.strategies.items()},
        environment=dataclasses.replace(run.environment, gpu=HOSTILE, images={"torch": HOSTILE}),
        doubts=(doubt(HOSTILE),),
    )
    (tmp_path / "page.html").write_text(render(report_of(analyse(hostile, tmp_path))), encoding="utf-8")
    opened = open_file(browser, tmp_path / "page.html")
    page = opened.page
    assert opened.console == []
    assert opened.requests == []
    assert page.title().endswith("benchmark report")
    assert page.locator("img").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.locator("script").count() == 1
    for where in ("#key-figures .what", "#beware li", "#reproduce pre", "#reproduce dd code"):
        assert HOSTILE in " ".join(page.locator(where).all_text_contents()), where
    assert page.locator("h1").count() == 1


def test_text_of_a_section_becomes_no_link_picture_or_higher_heading() -> None:
    hostile = "<b>raw</b> [a](b) ![c](d) <http://e.f>"
    found = blocks([Heading("# high"), paragraph(hostile), Bullets(((Strong(hostile),),))], "Title")
    assert "<h3># high</h3>" in found
    assert "<p>&lt;b&gt;raw&lt;/b&gt; [a](b)" in found
    assert not re.search("<(a|img|b|h1)\\b", found)


def test_a_cell_sorts_by_its_value_whatever_its_words() -> None:
    comparison = Comparison(2.3312345, 1.98, 2.74, 6, None)
    values = {
        cells.mebibytes(1234567 * MIB): 1234567.0,
        cells.ratio(comparison): 2.3312345,
        cells.effect(0.126): 12.6,
        cells.of(6, 6): 6.0,
        cells.BASELINE: 1.0,
        cells.p_value(1e-05): 1e-05,
        cells.estimate(Estimate(1234.5, None, None, 1)): 1234.5,
        cells.percent(0.4): 40.0,
    }
    assert {cell: cell.value for cell in values} == pytest.approx(values)
    assert [cell.value for cell in (cells.MISSING, cells.BLANK, cells.words("at most 5%"))] == [None] * 3


def test_pictures_are_vectors_while_there_is_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = path.parent
    paths = sorted(found.relative_to(folder) for found in (folder / "plots").iterdir())
    all_vectors = pictures.embedded(_nothing(), folder, paths)
    assert {one.source.split(";")[0] for one in all_vectors} == {"data:image/svg+xml"}
    pngs = sum(found.stat().st_size for found in (folder / "plots").glob("*.png")) * 4 // 3
    monkeypatch.setattr(pictures, "BUDGET_BYTES", pngs + 150_000)
    mixed = pictures.embedded(_nothing(), folder, paths)
    assert {one.source.split(";")[0] for one in mixed} == {"data:image/svg+xml", "data:image/png"}
    assert sum(len(one.source) for one in mixed) < pngs + 151_000
    sizes = {one.name: (one.width, one.height) for one in all_vectors}
    for one in mixed:
        assert sizes[one.name] == pytest.approx((one.width, one.height), abs=2)


def test_the_sections_that_the_page_shows_its_own_way_are_sections_of_the_report() -> None:
    assert set(run_page.OWN) <= set(SECTIONS)
    sections = {plot.section for plot in PLOTS.values()}
    assert sections - set(SECTIONS) == {"Over the time of each trial"}


@pytest.mark.parametrize(
    ("trials", "changes", "words"),
    [
        (0, {}, "Nothing measured"),
        (36, {"valid": False}, "Invalid"),
        (6, {}, "Proves nothing: one round"),
    ],
)
def test_the_state_says_how_far_a_run_may_be_believed(
    run: Run, trials: int, changes: dict[str, object], words: str
) -> None:
    kept = tuple(dataclasses.replace(one, **changes, samples=None) for one in run.trials[:trials])  # type: ignore[arg-type]
    page = render(report_of(analyse(dataclasses.replace(run, trials=kept, planned_trials=trials), Path())))
    assert f"</span>{words}</p>" in page


def test_a_committed_run_with_all_its_pictures_stays_below_3_mb() -> None:
    *_, folder = sorted(one.parent for one in (ROOT / "results").glob("*/run.json"))
    found = sorted(one.relative_to(folder) for one in (folder / "plots").iterdir())
    page = render(report_of(analyse(read_run(folder), folder), folder, found))
    assert page.count('<img src="data:image/') == len([one for one in found if one.suffix == ".png"]) > 4
    assert len(page.encode()) < 3_000_000


def test_at_rates_that_all_had_how_late_they_were_is_the_first_picture(run: Run) -> None:
    found = [
        pictures.Picture(name, "Throughput and latency", "", 1, 1, "")
        for name in ("latency", "histogram", "load")
    ]
    order = [one.name for one in run_page._by_worth(summarise(full(run)), found)]
    assert order == ["load", "latency", "histogram"]
    assert run_page._by_worth(summarise(run), found) == found
