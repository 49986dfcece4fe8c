"""One table and one section in each of the forms that they are written in."""

import csv as csv_files
import io
import re

import pytest

from bench.report import cells
from bench.report.contents import contents
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    CodeBlock,
    Column,
    Emphasis,
    Folded,
    Heading,
    Link,
    Strong,
    Table,
    case_column,
    name_column,
    paragraph,
    table,
)
from bench.report.writers import csv, html, markdown, terminal
from bench.statistics import Estimate

HOSTILE = "a|b <script> *c* =1+1"
ESTIMATE = Estimate(1234.5, 1200.25, 1300.75, 6)
TABLE = table(
    [case_column("load"), name_column("strategy"), Column("requests/s"), Column("verdict"), Column("held")],
    [
        (
            Cell("1 client"),
            Cell("onnx"),
            cells.estimate(ESTIMATE),
            Cell("faster", tone="better"),
            Cell("yes", strong=True),
        ),
        (
            Cell("8 clients"),
            Cell("onnx"),
            cells.estimate(ESTIMATE, 0.1, " in 6 rounds"),
            cells.MISSING,
            cells.BLANK,
        ),
        (Cell("8 clients"), Cell(HOSTILE), cells.MISSING, cells.MISSING, cells.number(0.125)),
    ],
    "A caption",
)
DASH, SPACE = "\N{EN DASH}", "\N{NO-BREAK SPACE}"


def test_markdown_aligns_figures_and_keeps_bars_out_of_the_table() -> None:
    assert markdown.table(TABLE) == [
        "| load | strategy | requests/s | verdict | held |",
        "| --- | --- | ---: | ---: | ---: |",
        f"| 1 client | onnx | 1{SPACE}234 (1{SPACE}200{DASH}1{SPACE}301) | faster | **yes** |",
        f"| 8 clients | onnx | 123 (120{DASH}130) in 6 rounds | n/a |  |",
        "| 8 clients | a\\|b &lt;script> \\*c\\* =1+1 | n/a | n/a | 0.12 |",
    ]


def test_markdown_escapes_texts_and_not_its_own_marks() -> None:
    found = paragraph("low ", Strong("bold"), " ", Emphasis("term"), Code("n/a"))
    assert markdown.blocks([found], str.upper) == ["LOW **BOLD** *TERM*`n/a`"]


@pytest.mark.parametrize(
    ("block", "lines", "page"),
    [
        (Heading("A & b"), ["### A & b"], "<h3>A &amp; b</h3>"),
        (CodeBlock("a < b", "sh"), ["```sh", "a < b", "```"], "<pre><code>a &lt; b\n</code></pre>"),
        (Bullets((("a",), ("b",))), ["- a", "- b"], "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        (paragraph(Link("a", 'b"c')), ['[a](b"c)'], '<p><a href="b&#34;c">a</a></p>'),
        (
            Folded("More", (paragraph("a"),)),
            ["<details>", "<summary>More</summary>", "", "a", "", "</details>"],
            "<details>\n<summary>More</summary>\n<p>a</p>\n</details>",
        ),
        (paragraph(Emphasis("faster", "better")), ["*faster*"], '<p><em class="better">faster</em></p>'),
    ],
)
def test_every_block_has_its_markdown_and_its_html(block: Block, lines: list[str], page: str) -> None:
    assert markdown.blocks([block]) == lines
    assert html.blocks([block], "Title").strip() == page


def test_html_sorts_by_values_names_rows_and_escapes() -> None:
    page = html.blocks([TABLE], "Title")
    assert '<div class="scroll" role="region" tabindex="0" aria-label="A caption">' in page
    assert '<table class="sortable">\n<caption class="hidden">A caption</caption>' in page
    assert '<th class="pin" scope="col">strategy</th>' in page
    assert re.findall(r'data-value="([^"]*)"', page) == ["1234.5", "123.45", "0.125"]
    assert f'123 <span class="interval">(120{DASH}130) in 6 rounds</span>' in page
    assert (
        '<th class="pin" data-text="onnx" scope="row">onnx <span class="under">1 client</span></th>' in page
    )
    assert '<td class="figure missing">n/a</td>' in page
    assert '<td class="figure missing"></td>' in page
    assert '<td class="figure better">faster</td>' in page
    assert "<script>" not in page


def test_a_table_without_a_caption_has_the_title_of_its_section_and_ranks_do_not_sort() -> None:
    ranks = Table((name_column(""), Column("a", "text")), ((Cell("1"), Cell("x")),), sortable=False)
    page = html.blocks([ranks], "Title")
    assert '<caption class="hidden">Title</caption>' in page
    assert "sortable" not in page
    assert '<td class="pin"></td>' in page, "a header that says nothing is none"


def test_csv_has_values_in_full_nothing_for_what_is_missing_and_no_formula() -> None:
    header, first, second, third = csv_files.reader(io.StringIO(csv.table(TABLE)))
    assert header == ["load", "strategy", "requests/s", "verdict", "held"]
    assert first == ["1 client", "onnx", "1234.5", "faster", "yes"]
    assert second[2:] == ["123.45", "", ""]
    assert third == ["8 clients", HOSTILE, "", "", "0.125"]
    (_, formula) = csv.table(table([Column("a")], [[Cell("=1+1\nx")]])).splitlines()
    assert formula == "'=1+1 x"


def test_a_terminal_gives_up_what_it_must_and_takes_back_what_has_room() -> None:
    giving_up: tuple[terminal.Loss, ...] = (("intervals", "requests/s"), terminal.CASES, ("column", "held"))
    wide = terminal.fitted(TABLE, 200, giving_up)
    assert wide.losses == []
    narrow = terminal.fitted(TABLE, 56, giving_up)
    shown = [line.plain for line in terminal.lines(narrow, 56)]
    assert max(map(len, shown)) <= 56
    assert shown[0].split() == ["strategy", "requests/s", "verdict", "held"]
    assert [line for line in shown if line in ("1 client", "8 clients")] == ["1 client", "8 clients"]
    assert narrow.losses == [("intervals", "requests/s"), terminal.CASES]
    least = [line.plain for line in terminal.lines(terminal.fitted(TABLE, 20, giving_up), 20)]
    assert max(map(len, least)) <= 20
    assert any(line.endswith("\N{HORIZONTAL ELLIPSIS}") for line in least)


def test_a_terminal_s_colours_take_no_columns() -> None:
    lines = terminal.lines(terminal.fitted(TABLE, 200, ()), 200)
    coloured, plain = (terminal.written(lines, colour=colour) for colour in (True, False))
    assert "\x1b[1;32mfaster\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_the_word_of_a_verdict_has_its_tone_and_stands_below_its_figure() -> None:
    cell = Cell("1.81", "1.76-1.86", tone="better", word="faster")
    found = table([name_column("strategy"), Column("ratio")], [(Cell("onnx"), cell)])
    assert markdown.table(found)[2] == "| onnx | 1.81 (1.76-1.86) faster |"
    shown = '1.81 <span class="interval">(1.76-1.86)</span> <span class="word better">faster</span>'
    assert f'<td class="figure">{shown}</td>' in html.blocks([found], "Title")


def test_what_is_folded_away_is_counted() -> None:
    notes = Bullets((("a",), ("b",)))
    assert contents([TABLE, Folded("More", (TABLE, notes))]) == "2 tables"
    assert contents([TABLE], pictures=2) == "1 table and 2 pictures"
    assert contents([notes]) == "2 notes"
