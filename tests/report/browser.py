"""A real browser for the pages: Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; skips where there is none, unless REQUIRE_ENGINE=1 says that there must be."""
    path = shutil.which("chromium")
    if path is None and os.environ.get("REQUIRE_ENGINE") == "1":
        pytest.fail("no chromium: install Debian's package chromium")
    if path is None:
        pytest.skip("no chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page that was opened from a file, what its console said, and what it asked for beside itself."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def open_file(
    browser: Browser, path: Path, width: int = 1280, height: int = 900, **options: object
) -> Opened:
    """Open a file in a context of its own."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: opened.console.append(message.text))
    opened.page.on("pageerror", lambda error: opened.console.append(str(error)))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(path.as_uri())
    opened.requests = [url for url in opened.requests if not url.startswith("data:") and url != path.as_uri()]
    return opened


LUMINANCE = """
(selector) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (text) => {
    const [r, g, b] = rgb(text).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (rgb(colour).length === 3) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility()).map((node) => {
    const style = getComputedStyle(node);
    const ink = node instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(behind(node))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), node.tagName + "." + node.className];
  });
}
"""


def contrasts(page: Page, selector: str) -> list[tuple[float, str]]:
    """The contrast ratio (WCAG 2) of every visible element's text with what is behind it, and which it is."""
    return [(ratio, name) for ratio, name in page.evaluate(LUMINANCE, selector)]


TEXTS = """
() => [...(function* () {
  const styles = new Map();
  const hides = (one) => {
    if (!styles.has(one)) styles.set(one, getComputedStyle(one).overflowX !== "visible");
    return styles.get(one);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest(".hidden, .skip, script, style, title")) continue;
    if (!parent.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const { left, top, right, bottom } of range.getClientRects()) {
      const box = { left, top, right, bottom };
      // what a region that scrolls has out of sight is not seen
      for (let one = parent; one; one = one.parentElement) {
        if (!hides(one)) continue;
        const around = one.getBoundingClientRect();
        box.left = Math.max(box.left, around.left);
        box.right = Math.min(box.right, around.right);
      }
      if (box.right - box.left > 1) yield { node, box };
    }
  }
})()]
"""

OVERLAPS = f"""
() => {{
  const found = ({TEXTS})().sort((a, b) => a.box.top - b.box.top);
  const told = [];
  found.forEach((one, place) => {{
    for (const other of found.slice(place + 1)) {{
      if (other.box.top >= one.box.bottom - 3) break;
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      if (other.node !== one.node && across > 1) told.push(`${{one.node.data}} | ${{other.node.data}}`);
    }}
  }});
  return told;
}}
"""

CLIPPED = """
() => [...document.querySelectorAll("body *")].filter((one) =>
  one.checkVisibility() && !one.closest(".hidden") && !(one instanceof SVGElement)
  && ["hidden", "clip"].includes(getComputedStyle(one).overflowX) && one.scrollWidth > one.clientWidth
).map((one) => one.outerHTML.slice(0, 80))
"""

IN_SIGHT = f"""
() => ({TEXTS})().filter(({{ box }}) => box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth)
  .map(({{ node }}) => node).filter((node, place, all) => all.indexOf(node) === place)
  .map((node) => node.data.trim()).join(" ")
"""


def overlaps(page: Page) -> list[str]:
    """The pairs of texts that lie over each other, as a reader sees the page without scrolling a table."""
    return [*page.evaluate(OVERLAPS)]


def clipped(page: Page) -> list[str]:
    """The elements whose text is cut off, and which no scrolling shows."""
    return [*page.evaluate(CLIPPED)]


def text_in_sight(page: Page) -> str:
    """The text that a reader sees before scrolling, in a line."""
    return " ".join(str(page.evaluate(IN_SIGHT)).split())


TOO_WIDE = """
(selector) => [...document.querySelectorAll(selector)].flatMap((one) => {
  if (!one.checkVisibility()) return [];
  const end = (node) => node.getBoundingClientRect().right;
  const out = (head) => end(head) > end(head.parentElement);
  const heads = [...one.querySelectorAll("thead button")].filter(out);
  const wide = one.scrollWidth > one.clientWidth ? [`${one.scrollWidth} in ${one.clientWidth}`] : [];
  return [...wide, ...heads.map((head) => head.textContent)].map((what) => `${one.ariaLabel}: ${what}`);
})
"""


def too_wide(page: Page, selector: str) -> list[str]:
    """The tables in these regions that are wider than their region, and the heads wider than their cell."""
    return [*page.evaluate(TOO_WIDE, selector)]


RULES = """
(selector) => {
  const rows = [...document.querySelectorAll(selector + " tbody tr")];
  const across = document.querySelector(selector).parentElement.getBoundingClientRect();
  return [across.left, across.right, ...rows.map((row) => row.getBoundingClientRect().bottom)];
}
"""


def broken_rules(page: Page, table: str, shot: Path) -> list[int]:
    """The rows of a table, from 0, below which no line goes from one side to the other in one height."""
    page.locator(table).scroll_into_view_if_needed()
    left, right, *bottoms = page.evaluate(RULES, table)
    page.screenshot(path=shot)
    with Image.open(shot) as found:
        # but for the sides, which may lie in a shadow
        pixels = np.asarray(found.convert("L")).astype(int)[:, round(left) + 16 : round(right) - 16]
    ground = int(np.bincount(pixels.ravel()).argmax())
    lines = np.flatnonzero((abs(pixels - ground) > 20).all(axis=1))
    return [row for row, bottom in enumerate(bottoms) if not (abs(lines - bottom) <= 2).any()]


def screenshot(page: Page, name: str) -> None:
    """Write what is seen into the folder that SCREENSHOTS names, if it names any."""
    if wanted := os.environ.get("SCREENSHOTS"):
        folder = Path(wanted)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / name)
