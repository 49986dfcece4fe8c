"""A judgement told in Markdown, JSON, JUnit XML and on a terminal."""

import dataclasses
import json
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from bench.gate import Judgement, RuleFinding, judge
from bench.gate.findings import PrimaryBasis
from bench.gate.rules import rules_of
from bench.model import Environment
from bench.report.verdict import FORMATS, write_judgement
from bench.report.verdict.verdict_sections import folded
from bench.report.verdict.verdict_sentences import finding_sentence
from bench.report.verdict.verdict_terminal import render as on_terminal
from tests.gate.runs import BASE, EQUAL, beside, run_of, stored, throughput_rules, times, with_trials

GOLDEN = Path(__file__).with_name("golden.md")
UNSURE = (108.0, 93.0, 108.0, 90.0, 95.0, 110.0)
RULES = rules_of(
    {
        "primary": [
            {"strategy": name, "metric": "throughput", "tolerance": "5%"}
            for name in ("onnx", "torch", "batched", "peer")
        ],
        "limit": [
            {"metric": "image_unpacked_bytes", "increase": "2 MB"},
            {"metric": "wrong_answers", "most": 0},
            {"metric": "error_rate", "most": "0%"},
        ],
    }
)


@pytest.fixture(scope="module")
def judgement() -> Judgement:
    """One strategy slower, one equal, one unsure and with a lost round, one without a trial."""
    base = {"onnx": EQUAL, "torch": EQUAL, "batched": EQUAL}
    batch = beside(base, {"onnx": times(0.86), "torch": times(1.0), "batched": (*UNSURE[:5], None)})
    run = with_trials(batch.head, "torch", wrong_answers=1)
    first = dataclasses.replace(batch, base=run, head=run)
    second = beside({"onnx": EQUAL}, {"onnx": times(0.87)})
    return judge(RULES, first, second)


@pytest.fixture(scope="module")
def good() -> Judgement:
    return judge(throughput_rules("onnx"), beside({"onnx": EQUAL}, {"onnx": times(1.0)}))


def _invalid(finding: RuleFinding, said: str) -> RuleFinding:
    """The finding of a primary metric as one that could not be judged, for what a service said."""
    assert isinstance(finding.basis, PrimaryBasis)
    basis = dataclasses.replace(finding.basis, first=finding.basis.first.voided(said))
    return dataclasses.replace(finding, verdict="invalid", basis=basis, notes=(said,))


def test_the_markdown_is_as_it_was_looked_at(judgement: Judgement) -> None:
    """After a change on purpose: write the new text to golden.md and look at it."""
    assert FORMATS["markdown"].render(judgement) == GOLDEN.read_text(encoding="utf-8")


def test_the_markdown_has_the_verdict_on_top_and_fits_a_comment(
    judgement: Judgement, good: Judgement
) -> None:
    text = FORMATS["markdown"].render(judgement)
    assert text.startswith("## Gate: regression\n\n**Regression in 2 of 16 rules (beside ")
    assert len(text) < 60_000
    assert text.count("<details>") == text.count("</details>") == 5
    assert (
        FORMATS["markdown"]
        .render(good)
        .startswith("## Gate: pass\n\n**Pass: the one rule holds; a change of ")
    )


def test_nothing_of_a_run_can_break_out_of_the_markdown(good: Judgement) -> None:
    hostile = "a|b </details><img src=x>\n# heading"
    told = dataclasses.replace(
        good,
        head=dataclasses.replace(
            good.head, environment=Environment(kernel=hostile), command=f"x\n```\n{hostile}"
        ),
        base_name=hostile,
    )
    text = FORMATS["markdown"].render(told)
    assert "<img" not in text.replace(" ".join(told.head.command.split()).replace("`", "'"), "")
    assert "| kernel | a\\|b &lt;/details&gt;&lt;img src=x&gt; # heading |" in text
    assert "\n# heading" not in text
    assert text.count("\n```") == 2


@pytest.mark.parametrize(
    ("said", "element"),
    [
        ("[all is well](/evil)", "<a "),
        ("\\[all is well](/evil)", "<a "),
        ("![](/evil.png)", "<img"),
        ("`<b>` | \\| x", "<code>"),
    ],
)
def test_no_word_of_a_run_becomes_a_link_or_a_picture(good: Judgement, said: str, element: str) -> None:
    told = dataclasses.replace(
        good, head=dataclasses.replace(good.head, environment=Environment(kernel=said)), base_name=said
    )
    text = FORMATS["markdown"].render(told)
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text[: text.index("## Gate") + 2000])
    assert element not in html
    (row,) = [line for line in text.splitlines() if line.startswith("| kernel |")]
    assert "<td" in MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n| --- | --- |\n{row}")
    assert said.count("|") == row.count("|") - 3


def test_a_name_after_an_at_calls_nobody(good: Judgement) -> None:
    text = FORMATS["markdown"].render(
        dataclasses.replace(good, base_name="@someone o/n#12 https://evil.example")
    )
    assert "@someone" not in text
    assert "#12" not in text
    assert "://" not in text


def test_a_command_cannot_leave_its_fence(good: Judgement) -> None:
    text = FORMATS["markdown"].render(
        dataclasses.replace(good, head=dataclasses.replace(good.head, command="```"))
    )
    assert text.count("```") == 2


def test_no_control_character_of_a_run_reaches_the_terminal(good: Judgement) -> None:
    said = "\x1b[2J\x07 \N{RIGHT-TO-LEFT OVERRIDE}"
    finding = dataclasses.replace(_invalid(good.findings[0], said), strategy=f"on\nnx{said}")
    text = on_terminal(dataclasses.replace(good, findings=(finding,)), 100)
    assert not [sign for sign in text if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf")]
    assert "\N{REPLACEMENT CHARACTER}[2J" in text


def test_the_json_keeps_its_keys_and_says_null_for_what_is_missing(judgement: Judgement) -> None:
    found = json.loads(FORMATS["json"].render(judgement))
    assert list(found) == [
        *("schema", "verdict", "exit_code", "sentence", "base", "head", "paired", "made", "command"),
        *("suspects", "uptimes", "not_judged", "findings", "differences", "environment"),
    ]
    assert (found["schema"], found["verdict"], found["exit_code"]) == (1, "regression", 3)
    by_rule = {one["rule"]: one for one in found["findings"]}
    assert len(by_rule) == len(found["findings"]) == 16
    assert {tuple(one) for one in by_rule.values()} == {
        (
            *("rule", "kind", "strategy", "metric", "verdict", "sentence", "bound", "edge", "base", "head"),
            *("comparison", "adjusted_p", "confirmation", "rounds_to_decide", "suspect", "notes"),
        )
    }
    onnx, peer = by_rule["primary.onnx.throughput"], by_rule["primary.peer.throughput"]
    assert onnx["comparison"]["ratio"] == pytest.approx(0.86, abs=0.001)
    assert onnx["confirmation"]["ratio"] == pytest.approx(0.87, abs=0.001)
    assert onnx["edge"] == 0.95
    assert [peer[key] for key in ("base", "head", "comparison", "adjusted_p")] == [None] * 4
    assert by_rule["limit.onnx.wrong_answers.most"]["head"] == 0
    assert by_rule["limit.peer.wrong_answers.most"]["head"] is None


def test_the_json_tells_what_differs_from_a_stored_baseline() -> None:
    base, head = run_of({"onnx": EQUAL}), run_of({"onnx": EQUAL})
    moved = dataclasses.replace(head, environment=dataclasses.replace(head.environment, cores=4))
    found = json.loads(FORMATS["json"].render(judge(throughput_rules("onnx"), stored(base, moved))))
    assert found["differences"] == [{"name": "cores", "base": "2", "head": "4"}]
    text = FORMATS["markdown"].render(judge(throughput_rules("onnx"), stored(base, moved)))
    assert "| cores | 2 | 4 |" in text


def test_junit_has_a_case_a_rule_in_the_state_of_its_verdict(judgement: Judgement) -> None:
    suites = ElementTree.fromstring(FORMATS["junit"].render(judgement))  # noqa: S314  # our own text
    (suite,) = suites
    cases = suite.findall("testcase")
    states = {case.get("name"): [part.tag for part in case] for case in cases}
    assert states["primary.onnx.throughput"] == ["failure"]
    assert states["primary.torch.throughput"] == ["system-out"]
    assert states["primary.batched.throughput"] == ["skipped"]
    assert states["primary.peer.throughput"] == ["error"]
    assert states["limit.torch.wrong_answers.most"] == ["failure"]
    for element in (suites, suite):
        counts = [int(element.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")]
        tags = [tags[0] for tags in states.values()]
        assert counts == [len(cases), *(tags.count(tag) for tag in ("failure", "error", "skipped"))]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "confirmed by a second batch" in failure.get("message", "")


def test_junit_stays_well_formed_whatever_a_service_said(good: Judgement) -> None:
    said = "\x00\x1b[31m & <oops> \ud800 \N{MULTIPLICATION SIGN}"
    finding = _invalid(good.findings[0], said)
    text = FORMATS["junit"].render(dataclasses.replace(good, findings=(finding,), base_name=said))
    error = ElementTree.fromstring(text).find("testsuite/testcase/error")  # noqa: S314  # our own text
    assert error is not None
    assert "& <oops>" in error.get("message", "")
    text.encode("utf-8")


@pytest.mark.parametrize("width", [60, 61, 80, 100, 133, 200])
def test_the_terminal_keeps_its_width_and_tells_every_finding_that_is_no_pass(
    judgement: Judgement, width: int
) -> None:
    text = on_terminal(judgement, width)
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for finding in judgement.findings:
        if finding.verdict != "pass":
            assert " ".join(f"{finding.verdict}: {finding_sentence(finding)}".split()) in flat
    assert text.startswith("Regression in 2 of 16 rules")


def test_a_wider_terminal_shows_more_columns(judgement: Judgement) -> None:
    assert "allowed change" not in on_terminal(judgement, 60).split("\n\n")[1]
    assert "detectable change" in on_terminal(judgement, 100)
    assert "184" not in on_terminal(judgement, 100)
    assert "requests/s" in on_terminal(judgement, 200)
    assert on_terminal(judgement, 10) == on_terminal(judgement, 60)


def test_every_format_is_written_into_the_folder(good: Judgement, tmp_path: Path) -> None:
    written = write_judgement(good, tmp_path)
    assert sorted(path.name for path in written) == ["gate.html", "gate.json", "gate.junit.xml", "gate.md"]
    assert [path.read_text(encoding="utf-8") for path in written] == [
        one.render(good) for one in FORMATS.values() if one.file
    ]


def test_the_page_holds_the_verdict_and_every_rule_and_lets_no_text_become_a_tag() -> None:
    slow = beside({"onnx": EQUAL}, {"onnx": times(0.86)})
    hostile = dataclasses.replace(slow, base_name="<script>alert(1)</script>", head_name='"topic" & more')
    judgement = judge(throughput_rules("onnx"), hostile, hostile)
    page = FORMATS["html"].render(judgement)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert '<p class="state invalid">' in page
    assert "Regression" in page
    assert "onnx throughput" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    for section in folded(judgement):
        assert f">{section.title}</h2>" in page


def test_one_finding_is_told_in_the_sentence_on_top() -> None:
    slow = beside({"onnx": EQUAL}, {"onnx": times(0.86)})
    judgement = judge(throughput_rules("onnx"), slow, slow)
    first = on_terminal(judgement, 200).splitlines()[0]
    assert first.startswith("Regression: onnx throughput 0.86")
    assert "confirmed by a second batch" in first


def test_names_of_base_copies_are_no_strategies_of_their_own(judgement: Judgement) -> None:
    assert not [finding for finding in judgement.findings if finding.strategy.endswith(BASE)]
