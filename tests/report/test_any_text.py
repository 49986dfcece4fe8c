"""Whatever text a run brings along, each writer keeps its shape and shows the text as it is."""

import csv as csv_files
import io
import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.analysis.run_analysis import analyse
from bench.model import Run, Variant
from bench.report import plots
from bench.report.document import (
    Bullets,
    Cell,
    Code,
    CodeBlock,
    Column,
    Heading,
    Strong,
    name_column,
    paragraph,
    table,
)
from bench.report.exports.junit import render as junit
from bench.report.page import fill
from bench.report.plain import flat, in_markdown, one_line, printable, shortened, without_links
from bench.report.report import report_of
from bench.report.writers import csv, html, markdown, terminal
from tests.running.doubts import doubt
from tools.pull_request_comment import harmless

JOINER = "\N{WORD JOINER}"
HOSTILE = [
    "cpu|int8",
    r"cpu\|int8",
    "\\",
    "a\\",
    r"$\bad$",
    "`a|b`",
    "``` sh",
    "a\n| b | c |\n",
    "**bold** _it_ ~~gone~~",
    "<script>alert(1)</script> &lt; &#60;",
    "[x](http://example.org) ![x](y) [x]: y [^1]",
    "@someone #12 GH-12 http://a www.a.org a@b.org",
    "# head",
    "#",
    "closed ##",
    "- [ ] item",
    "1. one",
    "> said",
    "---",
    "===",
    "    code",
    "=1+1",
    "\uff1d1+1",
    "\x1b[31m\x07\x9b",
    "\u202eevil\u2066",
    "a\u2028b\x85c\x0bd",
    "\ud800",
    "::error::x",
    "##[error]x",
    "'\"><td>",
    "%s {0} {{ x }}",
    "-->",
]
TEXTS = st.text(st.characters(), max_size=30) | st.sampled_from(HOSTILE)
ESCAPES = st.sampled_from([in_markdown, without_links])
RENDERER = MarkdownIt("gfm-like", {"html": True, "linkify": False})


class Contents(HTMLParser):
    """The text of each element of some kinds, and the names of all elements."""

    def __init__(self, page: str, *kinds: str) -> None:
        super().__init__(convert_charrefs=True)
        self.kinds, self.texts, self.names = kinds, list[str](), list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.names.append(tag)
        if tag in self.kinds:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


def shown(text: str) -> str:
    """What a reader sees of a text: Markdown and HTML join spaces."""
    return seen(flat(text))


def seen(page: str) -> str:
    # whether two colons act hangs on what stands before them
    return " ".join(page.replace(JOINER, "").replace(":\ufffd", "::").replace("#\ufffd", "##").split())


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=3), escape=ESCAPES)
@example(rows=[[text, "b", text] for text in HOSTILE], escape=in_markdown)
@example(rows=[[text, "b", text] for text in HOSTILE], escape=without_links)
def test_a_markdown_table_keeps_its_columns_and_its_words(
    rows: list[list[str]], escape: Callable[[str], str]
) -> None:
    columns = (name_column("strategy"), Column("a"), Column("b", "text"))
    found = table(columns, [[Cell(text) for text in row] for row in rows])
    page = Contents(RENDERER.render("\n".join(markdown.table(found, escape))), "td", "th")
    assert [text.strip() for text in page.texts[:3]] == ["strategy", "a", "b"]
    assert [seen(text) for text in page.texts[3:]] == [shown(text) for row in rows for text in row]
    assert set(page.names) == {"table", "thead", "tbody", "tr", "td", "th"}


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, escape=ESCAPES)
@example(text="#", escape=in_markdown)
@example(text="#", escape=without_links)
@example(text="closed ##", escape=in_markdown)
def test_a_paragraph_an_item_and_a_heading_show_the_text(text: str, escape: Callable[[str], str]) -> None:
    for block, kind, around in (
        (paragraph(text, " end"), "p", {"p"}),
        (Bullets(((text, " end"),)), "li", {"ul", "li"}),
        (Heading(f"h {text}"), "h3", {"h3"}),
        (paragraph("a ", Strong(f"x{text}x")), "p", {"p", "strong"}),
    ):
        page = Contents(RENDERER.render("\n".join(markdown.blocks([block], escape))), kind)
        assert shown(text) in seen(page.texts[0])
        assert set(page.names) == around, page.names


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_code_leaves_neither_its_fence_nor_its_line(text: str) -> None:
    lines = markdown.blocks([CodeBlock(text, "sh"), paragraph("after")])
    page = Contents(RENDERER.render("\n".join(lines)), "code", "p")
    assert page.names == ["pre", "code", "p"]
    page = Contents(RENDERER.render(markdown.inline((Code(f"x{text}x"),))), "code")
    assert page.names == ["p", "code"]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_a_comment_s_text_is_one_that_the_posting_tool_takes(text: str) -> None:
    body = f"## Gate: pass\n\n{without_links(text)}\n"
    told = harmless(body)
    assert not re.search(r"@\w|#\d|://|www\.", told.partition("\n")[2])


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXTS, min_size=2, max_size=2))
def test_csv_html_and_a_terminal_keep_their_shape(texts: list[str]) -> None:
    columns = (name_column("strategy"), Column("b", "text"))
    found = table(columns, [[Cell(text) for text in texts], [Cell("x"), Cell("y")]])
    rows = list(csv_files.reader(io.StringIO(csv.table(found))))
    assert [len(row) for row in rows] == [2, 2, 2]
    assert not [
        cell for row in rows for cell in row if unicodedata.normalize("NFKC", cell)[:1] in tuple("=+@-")
    ]
    page = Contents(printable(str(html.blocks([found], "Title"))), "td", "th")
    assert len([name for name in page.names if name in ("td", "th")]) == 6
    for text in texts:
        assert shown(text) in [seen(cell) for cell in page.texts]
    lines = terminal.written(terminal.lines(terminal.fitted(found, 200, ()), 200), colour=False)
    assert len(lines.splitlines()) == 3
    assert harmless_to_a_terminal(lines)


def harmless_to_a_terminal(text: str) -> bool:
    return not [letter for letter in text if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cs")]


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_no_text_acts_on_a_terminal_or_a_runner(text: str) -> None:
    for made in (one_line(text), shortened(text * 50, 100), flat(text)):
        assert "\n" not in made
        assert harmless_to_a_terminal(made)
        assert not re.search(r"(^|\s)::[a-z]|##\[", made)
    assert len(printable(text)) == len(text), "colours stay in their places"


def renamed(run: Run, text: str) -> Run:
    """The run with this text in every place that a machine or a service fills."""
    import dataclasses

    trials = tuple(
        dataclasses.replace(
            one, strategy=text if one.strategy == "onnx" else one.strategy, doubts=(doubt(text),)
        )
        for one in run.trials
    )
    results = {text if name == "onnx" else name: result for name, result in run.strategies.items()}
    results[text] = dataclasses.replace(
        results[text], title=text, variant=Variant(text, {text: text, "A": text})
    )
    for name, second in (("torch", "1"), ("batched", text)):
        results[name] = dataclasses.replace(results[name], variant=Variant(text, {text: name, "A": second}))
    environment = dataclasses.replace(run.environment, cpu_model=text, commit=text, images={text: text})
    return dataclasses.replace(
        run, trials=trials, strategies=results, environment=environment, command=text, doubts=(doubt(text),)
    )


ALL_AT_ONCE = " ".join(HOSTILE)


# what matplotlib cannot take at all is not in UTF-8, and so in no run.json
DRAWN = ALL_AT_ONCE.replace("\ud800", "")


@pytest.mark.parametrize("text", [DRAWN, r"$\bad$", r"$x^{$", "_hidden", "\u4e2d\u6587 \U0001f600"])
def test_every_picture_is_drawn_whatever_a_strategy_is_called(run: Run, folder: Path, text: str) -> None:
    analysis = analyse(renamed(run, text), folder)
    names = ("throughput", "latency", "histogram", "sweep", "timeline", "startup", "image_size")
    drawn = {name: plots._draw(analysis, folder, name) for name in names}
    assert all(len(files) == 2 for files in drawn.values())


def test_junit_and_the_page_hold_all_of_it_at_once(run: Run) -> None:
    report = report_of(analyse(renamed(run, ALL_AT_ONCE), Path("nowhere")))
    suite = ElementTree.fromstring(junit(report))  # noqa: S314  # made by ourselves
    assert {one.attrib["classname"] for one in suite.iter("testcase")} == {
        "torch",
        "batched",
        one_line(ALL_AT_ONCE),
    }
    from bench.report.page import run_page

    page = run_page.render(report)
    assert "<script>alert" not in page
    page.encode("utf-8")
    assert harmless_to_a_terminal(page.replace("\t", " "))
    assert fill  # every page goes through it
