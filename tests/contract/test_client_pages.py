"""The pages of docs/clients, run as they stand but for the port, and what they say is printed is printed."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "clients").glob("*.md"))
BLOCK = re.compile(r"^```(sh|python|json|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# what the commands of curl.md print is checked even where the page does not show it
PRINTS = {
    "rime_01.jpg -F file=@images/snow_01.jpg": '"prediction":"snow"',
    "bm8gaW1hZ2U=": '"error"',
    "-F file=@images/rime_01.jpg 'http": '"prediction":"rime"',
    "README.md": "422",
    "edge_large.jpg": "504",
    "models/weather/ready": "true",
    "api-description": '"openapi"',
}


def blocks(page: Path, kind: str) -> list[tuple[str, str | None]]:
    """The page's blocks of a kind, each with the output shown right after it."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    shown = [*found[1:], ("", "")]
    return [
        (text, after[1] if after[0] in ("json", "text") else None)
        for (its, text), after in zip(found, shown, strict=True)
        if its == kind
    ]


def commands() -> list[tuple[str, str | None]]:
    return [
        (line, shown) for page in PAGES for block, shown in blocks(page, "sh") for line in block.splitlines()
    ]


def alike(found: Any, shown: Any) -> bool:
    """Tell whether two JSON documents are the same, numbers to two places."""
    if isinstance(shown, dict):
        return found.keys() == shown.keys() and all(alike(found[key], shown[key]) for key in shown)
    if isinstance(shown, list):
        return len(found) == len(shown) and all(map(alike, found, shown))
    if isinstance(shown, float):
        return bool(found == pytest.approx(shown, abs=0.01))
    return bool(found == shown)


@pytest.mark.parametrize(("command", "shown"), commands())
def test_a_page_s_command_prints_what_the_page_says(
    services: dict[str, Any], command: str, shown: str | None
) -> None:
    here = command.replace("http://127.0.0.1:8080", services["onnx"].url)
    assert here != command
    done = subprocess.run(here, shell=True, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)  # noqa: S602  # the page's own line
    for words, printed in PRINTS.items():
        assert words not in command or printed in done.stdout, done.stdout
    assert not done.stdout.startswith('{"error"') or "%{http_code}" in command, done.stdout
    if shown is not None and shown.startswith("{"):
        assert alike(json.loads(done.stdout), json.loads(shown)), done.stdout
    elif shown is not None:
        assert done.stdout.strip() == shown.strip()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem
)
def test_a_page_s_snippets_print_what_the_page_says(services: dict[str, Any], page: Path) -> None:
    """One after another in one interpreter, as a reader would type them."""
    mark = "-- the next snippet --"
    snippets = blocks(page, "python")
    program = f"\nprint({mark!r})\n".join(text for text, _ in snippets)
    here = program.replace("127.0.0.1:8080", services["onnx"].url.removeprefix("http://"))
    assert here != program
    words = [sys.executable, "-W", "error", "-c", here]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(mark + "\n")
    for (text, shown), found in zip(snippets, printed, strict=True):
        assert found.strip(), text
        assert shown is None or found == shown, text
