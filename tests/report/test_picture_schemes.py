"""A vector picture in a real browser: on dark paper it is dark, alone in its tab and inside a page."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from bench.analysis.run_analysis import analyse
from bench.model import Run
from bench.report import plots
from tests.report.browser import chromium

pytestmark = pytest.mark.slow  # a real browser


@pytest.fixture(scope="module")
def picture(run: Run, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pictures")
    png, svg = plots._draw(analyse(run, folder), target, "throughput")
    with Image.open(png) as found:
        assert found.convert("RGB").getpixel((0, 0)) == (255, 255, 255), "a PNG has a white ground of its own"
    (target / "page.html").write_text(
        '<meta name="color-scheme" content="light dark"><body style="margin:0">'
        f'<img src="{svg.name}" width="358">',
        encoding="utf-8",
    )
    return svg


def test_a_picture_is_light_or_dark_as_the_reader_prefers_and_shows_as_much(
    picture: Path, tmp_path: Path
) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    inks = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 358, "height": 300})
        for path in (picture, picture.parent / "page.html"):
            page.goto(path.as_uri())
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=tmp_path / "shot.png")
                with Image.open(tmp_path / "shot.png") as shot:
                    grey = np.asarray(shot.convert("L")).astype(int)
                ground = int(grey[2, 2])
                assert (ground > 250) if scheme == "light" else (ground < 40), (path.name, scheme)
                inks.append(float(np.mean(np.abs(grey - ground) > 50)))
    assert min(inks) > 0.02
    # as many dots differ clearly from the ground in either scheme
    for light, dark in (inks[:2], inks[2:]):
        assert 0.5 < dark / light < 2
