"""The label bench.quality: what it declares, and one line for whatever it cannot say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.measure.runtime.quality_label import in_label, quality_of_text
from bench.measure.runtime.registry import load_registry
from bench.model import EXACT, Quality
from bench.verbs.arguments import Places
from bench.verbs.jobs import make_job
from tests.bench.test_tolerance import options

SHARES = st.integers(0, 10_000).map(lambda number: number / 10_000)


@pytest.mark.parametrize(
    ("text", "quality"),
    [
        ("exact", EXACT),
        (" exact ", EXACT),
        ("bounded 0.05", Quality("bounded", 0.05)),
        ("bounded  0", Quality("bounded", 0.0)),
        ("bounded 1", Quality("bounded", 1.0)),
        ("bounded 5e-2", Quality("bounded", 0.05)),
        ("agreement 0.99 loss 0.01", Quality("agreement", None, 0.99, 0.01)),
        ("agreement 1 loss 0", Quality("agreement", None, 1.0, 0.0)),
    ],
)
def test_a_label_declares_a_quality(text: str, quality: Quality) -> None:
    assert quality_of_text(text) == quality


WRONG = (
    *(
        "",
        "nearly",
        "Exact",
        "exact 0.1",
        "exact exact",
        "bounded",
        "bounded x",
        "bounded nan",
        "bounded inf",
    ),
    *(
        "bounded -0.1",
        "bounded 1.01",
        "bounded 0.05 0.05",
        "bounded 0.05 loss 0.01",
        "bounded \N{ARABIC-INDIC DIGIT ZERO}.5",
    ),
    *("agreement", "agreement 0.99", "agreement 0.99 loss", "agreement loss 0.01", "agreement 0.99 0.01"),
    *("agreement nan loss 0.01", "agreement 0.99 loss nan", "agreement 1.1 loss 0", "agreement 1 loss 1.1"),
    *("agreement -1 loss 0", "agreement 0.99 loss 0.01 more", "agreement 99% loss 1%", "0.05"),
)


@pytest.mark.parametrize("text", WRONG)
def test_another_text_is_one_line_that_says_what_to_write(text: str, project: Path) -> None:
    assert quality_of_text(text) is None
    labelled(project, text)
    with pytest.raises(UsageError) as error:
        load_registry(project)
    told = str(error.value)
    assert "fast-service's label bench.quality is" in told
    assert 'write exact, "bounded 0.05"' in told
    assert "\n" not in told


@given(
    st.one_of(
        st.just(EXACT),
        SHARES.map(lambda one: Quality("bounded", one)),
        st.builds(lambda least, most: Quality("agreement", None, least, most), SHARES, SHARES),
    )
)
def test_what_is_declared_can_be_written_as_a_label_again(quality: Quality) -> None:
    assert quality_of_text(in_label(quality)) == quality


def labelled(project: Path, quality: str, *more: str) -> None:
    """Give the strategy fast this label, and these lines."""
    file = project / "compose.yaml"
    lines = "".join(
        f"      {line}\n" for line in ("bench.strategy: fast", f'bench.quality: "{quality}"', *more)
    )
    file.write_text(file.read_text().replace("      bench.strategy: fast\n", lines), encoding="utf-8")


@pytest.mark.parametrize("quality", ["bounded 0.05", "agreement 0.9 loss 0.1"])
def test_a_tolerance_is_of_exact_answers_alone(quality: str, project: Path) -> None:
    labelled(project, quality, 'bench.tolerance: "0.03"')
    with pytest.raises(UsageError, match=r"bench\.tolerance is of exact answers.*leave one of the two out"):
        load_registry(project)


def test_exact_answers_may_have_a_tolerance_of_their_own(project: Path) -> None:
    labelled(project, "exact", 'bench.tolerance: "0.03"')
    assert load_registry(project).strategies["fast"].tolerance == 0.03


def test_a_strategy_without_the_label_is_exact_and_its_variants_declare_what_it_declares(
    project: Path,
) -> None:
    labelled(project, "bounded 0.05")
    session = options("--payloads", "small", "--vary", "fast:STUB_DELAY_S=0.01,0.02")
    made = make_job(session, Places(project, None, None)).plan
    assert {one.quality for one in made.strategies} == {Quality("bounded", 0.05)}
    plain = make_job(options("--payloads", "small"), Places(project, None, None)).plan
    assert [one.quality for one in plain.strategies] == [Quality("bounded", 0.05), EXACT]
    # what takes the largest difference for right may not tell answers apart
    assert plain.blind == ()


def test_a_share_of_labels_needs_requests_that_expect_a_label(project: Path) -> None:
    labelled(project, "agreement 0.9 loss 0.1")
    manifest = (
        '{"schema_version":2,"requests":[{"name":"a","json":{"x":1},"expect":{"compare":"unchecked"}}]}'
    )
    (project / "requests").mkdir()
    (project / "requests" / "manifest.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"fast declares agreement 0\.9 loss 0\.1, and no request expects a label"
    ):
        make_job(options(), Places(project, None, None))
    # what expects no label is compared exactly, which is within any bound
    text = (project / "compose.yaml").read_text(encoding="utf-8")
    (project / "compose.yaml").write_text(text.replace("agreement 0.9 loss 0.1", "bounded 0.1"))
    assert make_job(options(), Places(project, None, None)).plan.strategies[0].quality.promise == "bounded"
