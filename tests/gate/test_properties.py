"""What holds of every judgement, whatever was measured."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.gate import Verdict, judge
from bench.gate.rules import rules_of
from bench.report.verdict.verdict_sentences import finding_sentence
from tests.gate.runs import EQUAL, IMAGE_BYTES, beside, only, run_of, stored, throughput_rules, with_trials

ONNX = throughput_rules("onnx")
RANK: dict[Verdict, int] = {"pass": 0, "inconclusive": 1, "regression": 2}

RATES = st.lists(st.one_of(st.none(), st.just(0.0), st.floats(0.01, 200)), max_size=6)
LOGS = st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=6)


@settings(max_examples=150, deadline=None)
@given(base=RATES, head=RATES)
def test_fewer_than_three_rounds_with_both_never_pass(
    base: list[float | None], head: list[float | None]
) -> None:
    both = sum(b is not None and h is not None for b, h in zip(base, head, strict=False))
    judgement = judge(ONNX, beside({"onnx": base}, {"onnx": head}))
    if both < 3:
        assert judgement.verdict == "invalid"
    if any(h == 0 for b, h in zip(base, head, strict=False) if b is not None):
        assert judgement.verdict == "invalid"


@settings(max_examples=150, deadline=None)
@given(logs=LOGS, shift=st.floats(0.001, 0.4), with_second=st.booleans())
def test_a_worse_head_never_gets_a_better_verdict(logs: list[float], shift: float, with_second: bool) -> None:
    def verdict(by: float) -> Verdict:
        rates = [100 * 2.718281828 ** (log - by) for log in logs]
        batch = beside({"onnx": (100.0,) * len(logs)}, {"onnx": rates})
        return judge(ONNX, batch, batch if with_second else None).verdict

    assert RANK[verdict(shift)] >= RANK[verdict(0.0)]


@settings(max_examples=150, deadline=None)
@given(logs=LOGS, shift=st.floats(-0.5, 0.5))
def test_what_is_better_when_bigger_mirrors_what_is_better_when_smaller(
    logs: list[float], shift: float
) -> None:
    """The p50 here is the clients over the rate: 20% less of one are 25% more of the other."""
    rates = [100 * 2.718281828 ** (log + shift) for log in logs]
    batch = beside({"onnx": (100.0,) * len(logs)}, {"onnx": rates})
    p50 = rules_of({"primary": [{"strategy": "onnx", "metric": "p50", "tolerance": "25%"}]})
    fewer, slower = (
        only(judge(rules, batch, batch)) for rules in (throughput_rules("onnx", tolerance="20%"), p50)
    )
    assert fewer.verdict == slower.verdict
    assert ("improvement" in finding_sentence(fewer)) == ("improvement" in finding_sentence(slower))


@settings(max_examples=100, deadline=None)
@given(logs=LOGS)
def test_base_and_head_cannot_both_be_the_worse(logs: list[float]) -> None:
    rates = [100 * 2.718281828**log for log in logs]
    flat = (100.0,) * len(logs)
    there, back = beside({"onnx": flat}, {"onnx": rates}), beside({"onnx": rates}, {"onnx": flat})
    found = [judge(ONNX, batch, batch).verdict for batch in (there, back)]
    assert found.count("regression") <= 1
    if "regression" in found:
        assert "pass" in found


@settings(max_examples=100, deadline=None)
@given(
    wrong=st.integers(0, 5), errors=st.integers(0, 50), size=st.integers(0, 10**7), more=st.integers(1, 10**7)
)
def test_more_faults_or_bytes_never_get_a_better_verdict(
    wrong: int, errors: int, size: int, more: int
) -> None:
    rules = rules_of(
        {
            "limit": [
                {"metric": "wrong_answers", "most": 2},
                {"metric": "error_rate", "most": "1%"},
                {"metric": "image_unpacked_bytes", "increase": "1 MB"},
            ]
        }
    )
    base = run_of({"onnx": EQUAL})

    def ranks(by: int) -> list[int]:
        head = run_of({"onnx": EQUAL}, IMAGE_BYTES + size + by)
        head = with_trials(head, "onnx", wrong_answers=wrong + by, errors=errors + by)
        return [RANK[one.verdict] for one in judge(rules, stored(base, head)).findings]

    assert all(worse >= usual for worse, usual in zip(ranks(more), ranks(0), strict=True))
