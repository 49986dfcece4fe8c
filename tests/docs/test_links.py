"""Each link and picture of README.md and docs/ leads to a file of this repository, and to a heading of it."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
SPLICE = re.compile(r"<!-- splice: .*?<!-- splice end -->", re.DOTALL)
# reports of runs are written by `bench report`, whose tests look at its links
WRITTEN = ("results/", "bench/project/templates/", "tests/")


def pages() -> list[str]:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if not name.startswith(WRITTEN) and (ROOT / name).is_file()]


def broken(page: Path, text: str | None = None) -> list[str]:
    """The links of a page that lead nowhere."""
    return [link for link in links(text or page.read_text(encoding="utf-8")) if not leads(page, link)]


def leads(page: Path, link: str) -> bool:
    address = urlsplit(link)
    if address.scheme:
        return address.scheme in ("http", "https")
    file = page.parent / unquote(address.path) if address.path else page
    if not file.exists():
        return False
    return not address.fragment or (file.suffix == ".md" and address.fragment in anchors(file))


def links(text: str) -> Iterator[str]:
    for token in tokens(text):
        if token.type in ("link_open", "image"):
            yield str(token.attrs["href" if token.type == "link_open" else "src"])


def tokens(text: str) -> Iterator[Token]:
    for block in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        yield block
        yield from block.children or []


@cache
def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    parsed = MarkdownIt("gfm-like", {"linkify": False}).parse(file.read_text(encoding="utf-8"))
    for heading, inline in pairwise(parsed):
        if heading.type == "heading_open":
            words = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(
                next(name for n in range(len(parsed)) if (name := f"{slug}-{n}" if n else slug) not in found)
            )
    return found


@pytest.mark.parametrize("name", pages())
def test_each_link_leads_somewhere(name: str) -> None:
    assert broken(ROOT / name) == []


@pytest.mark.parametrize(
    "link",
    ["docs/none.md", "docs/gate.md#none", "#none", "LICENSE#none", "docs/none.png"],
)
def test_a_link_that_leads_nowhere_is_found(link: str) -> None:
    assert broken(ROOT / "README.md", f"# One\n\n[words]({link})\n") == [link]
    assert broken(ROOT / "README.md", f"![words]({link})\n") == [link]


def test_a_heading_is_found_by_its_anchor() -> None:
    page = ROOT / "docs" / "page.md"
    assert broken(page, "[a](gate.md#gatetoml) [b](../README.md#the-verdict) [c](https://example.org/)") == []


def test_the_readme_is_short_and_has_one_picture() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 190
    assert sum(token.type == "image" for token in tokens(text)) == 1


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_figures_of_runs_and_the_strategy_to_start_with_are_spliced(name: str) -> None:
    """What is written by hand compares no strategies and recommends none."""
    text = (ROOT / name).read_text(encoding="utf-8")
    claim = re.compile(r"start with (onnx|torch|batched)|[\d.]+ (times|requests/s|ms)\b|\d\.\d+\u00d7")
    assert claim.findall(SPLICE.sub("", text)) == []
    assert claim.findall("".join(SPLICE.findall(text))) != []
