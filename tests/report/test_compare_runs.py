"""Two runs compared: what differs is found, what does not is not, and what is doubtful stands on top."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from markdown_it import MarkdownIt

from bench.analysis.cases import Case
from bench.analysis.comparability import Difference, comparable_facts, differing_facts
from bench.analysis.run_comparison import Counted, Measured, RunComparison, Unshared, compare_runs
from bench.errors import UsageError
from bench.model import Environment, LatencyMs, Run, RunSettings, Trial
from bench.report.compare_runs import RENDERERS
from bench.report.compare_runs.comparison_formats import as_text
from bench.report.compare_runs.comparison_sentences import circumstances, doubts, sentence
from bench.report.verdict_words import counted_word, measured_word
from bench.run_file import read_run
from tests.report.full_run import full

ROOT = Path(__file__).parents[2]
MIB = 1024**2


def noisy(run: Run, seed: int, factors: Mapping[str, float] | None = None, spread: float = 0.02) -> Run:
    """The run measured again: every figure with noise of its own, and a strategy's rate times its factor."""
    rng = np.random.default_rng(seed)

    def again(trial: Trial) -> Trial:
        rate, p50, p99, cpu = np.exp(rng.normal(0, spread, 4))
        factor = (factors or {}).get(trial.strategy, 1.0)
        latency = trial.latency_ms
        assert latency.p50
        assert latency.p99
        assert trial.throughput_rps
        assert trial.cpu_ms_per_request
        return dataclasses.replace(
            trial,
            throughput_rps=float(trial.throughput_rps * rate * factor),
            latency_ms=LatencyMs(float(latency.p50 * p50 / factor), None, float(latency.p99 * p99 / factor)),
            cpu_ms_per_request=float(trial.cpu_ms_per_request * cpu / factor),
        )

    return dataclasses.replace(run, trials=tuple(map(again, run.trials)), created=f"2026-02-0{seed % 9 + 1}")


def only(
    found: RunComparison, strategy: str, metric: str, place: str = "small, json, 50 clients"
) -> Measured:
    (one,) = [
        one
        for one in found.measured
        if (one.strategy, one.metric, circumstances(one)) == (strategy, metric, place)
    ]
    return one


def counted(found: RunComparison, strategy: str, name: str) -> Counted:
    return next(one for one in found.counted if (one.strategy, one.name) == (strategy, name))


def environment(run: Run, **changes: Any) -> Run:
    return dataclasses.replace(run, environment=dataclasses.replace(run.environment, **changes))


def environment_of(facts: dict[str, Any]) -> Environment:
    return msgspec.convert(facts, Environment)


def differing(base: dict[str, Any], head: dict[str, Any]) -> tuple[Difference, ...]:
    return differing_facts(environment_of(base), environment_of(head))


class TestFigures:
    def test_a_slower_head_is_told_by_every_metric_and_nobody_else_is(self, run: Run) -> None:
        found = compare_runs(noisy(run, 1), noisy(run, 2, {"onnx": 0.8}), "before", "after")
        words = {
            metric: measured_word(only(found, "onnx", metric))
            for metric in ("throughput", "p50", "p99", "cpu")
        }
        assert words == {"throughput": "slower", "p50": "slower", "p99": "slower", "cpu": "dearer"}
        assert only(found, "onnx", "throughput").comparison is not None
        assert {one.strategy for one in found.measured if one.differs} == {"onnx"}
        assert sentence(found).startswith("after differs from before in 8 of ")
        assert doubts(found) == ()

    @pytest.mark.slow
    def test_two_runs_of_the_same_are_seldom_told_apart(self, run: Run) -> None:
        """A family errs at most 5 times in 100: of forty, more than six come less than once in 300."""
        false = [
            any(
                one.differs
                for one in compare_runs(noisy(run, 2 * k), noisy(run, 2 * k + 1), "a", "b").measured
            )
            for k in range(40)
        ]
        assert sum(false) <= 6

    def test_without_a_difference_the_sentence_says_how_large_one_would_have_shown(self, run: Run) -> None:
        found = compare_runs(noisy(run, 3), noisy(run, 4), "before", "after")
        effects = [
            one.comparison.minimal_detectable_effect or math.nan
            for one in found.measured
            if one.metric == "throughput" and one.comparison
        ]
        assert "after is not told apart from before in any of " in sentence(found)
        assert f"in requests/s a difference of {100 * max(effects):.1f}% would have shown" in sentence(found)

    def test_rounds_of_two_runs_do_not_pair(self, run: Run) -> None:
        """Shuffling one run's rounds changes nothing, as it would if they were paired."""
        head = noisy(run, 5, {"torch": 0.95})
        mixed = tuple(dataclasses.replace(t, round=7 - t.round) for t in head.trials)
        one, other = (
            only(compare_runs(noisy(run, 6), h, "a", "b"), "torch", "throughput").comparison
            for h in (head, dataclasses.replace(head, trials=mixed))
        )
        assert one is not None
        assert other is not None
        assert (one.low, one.high) == pytest.approx((other.low, other.high))

    def test_throughput_is_compared_in_closed_loads_alone(self, run: Run) -> None:
        found = compare_runs(full(run), full(noisy(run, 7)), "a", "b")
        places = {circumstances(one) for one in found.measured if one.metric == "throughput"}
        assert places == {"small, json, 1 client", "small, json, 50 clients", "seed, json, 50 clients"}
        assert any("capacity" in circumstances(one) for one in found.measured if one.metric == "p99")
        assert found.own_rates
        assert "a rate of its own" in RENDERERS["text"](found)

    def test_cold_and_warm_starts_are_compared_with_their_like(self, run: Run) -> None:
        found = compare_runs(full(run), full(run), "a", "b")
        places = {circumstances(one) for one in found.measured if one.metric == "startup"}
        assert places == {"cold model cache", "warm model cache"}
        # the other run's starts had another state of the cache: none is alike
        cold = full(run).strategies
        alone = {name: dataclasses.replace(result, warm_startup=None) for name, result in cold.items()}
        found = compare_runs(dataclasses.replace(run, strategies=alone), run, "a", "b")
        assert not [one for one in found.measured if one.metric == "startup"]

    def test_image_bytes_are_compared_to_the_byte(self, run: Run) -> None:
        result = run.strategies["onnx"]
        assert result.image is not None
        assert result.image.compressed_bytes is not None
        image = dataclasses.replace(result.image, compressed_bytes=result.image.compressed_bytes + 1)
        larger = {**run.strategies, "onnx": dataclasses.replace(result, image=image)}
        found = compare_runs(run, dataclasses.replace(run, strategies=larger), "a", "b")
        assert counted_word(counted(found, "onnx", "compressed_bytes")) == "larger"
        assert counted_word(counted(found, "torch", "compressed_bytes")) == "same"
        assert "Images to pull changed: onnx +1 byte." in sentence(found)

    def test_one_wrong_answer_is_told(self, run: Run) -> None:
        trials = (dataclasses.replace(run.trials[0], wrong_answers=1), *run.trials[1:])
        found = compare_runs(run, dataclasses.replace(run, trials=trials), "a", "b")
        assert counted_word(counted(found, run.trials[0].strategy, "wrong_answers")) == "more"
        assert "Wrong answers: 0 before, 1 now." in sentence(found)

    def test_the_same_share_of_wrong_answers_is_the_same(self) -> None:
        assert counted_word(Counted("a", None, "wrong_answers", 1, 2, (100, 200))) == "same"
        assert counted_word(Counted("a", None, "wrong_answers", 2, 2, (100, 200))) == "fewer"


class TestDoubts:
    def test_facts_that_differ_are_listed_exactly(self, run: Run) -> None:
        head = environment(run, cpu_model="Other CPU", kernel="6.2.0", commit="abc")
        found = compare_runs(run, head, "a", "b")
        assert found.differing == (
            Difference("cpu_model", "Example CPU @ 2.00GHz", "Other CPU"),
            Difference("kernel", "6.1.0", "6.2.0"),
        )
        assert doubts(found) == ("different circumstances (cpu_model, kernel)",)
        text, markdown = RENDERERS["text"](found), RENDERERS["markdown"](found)
        assert text.startswith("DOUBTFUL: different circumstances (cpu_model, kernel).\n")
        assert markdown.startswith("**Doubtful: different circumstances (cpu_model, kernel).**\n")
        assert "kernel: 6.1.0 \N{RIGHTWARDS ARROW} 6.2.0" in text

    def test_another_runtime_other_payloads_and_untold_facts_are_doubts(self, run: Run) -> None:
        base = environment(run, settings=RunSettings(payloads={"small": ("a.jpg",)}), smt=None)
        head = environment(run, settings=RunSettings(payloads={"small": ("b.jpg",)}), smt=False)
        head = dataclasses.replace(head, runtime="process")
        assert doubts(compare_runs(base, head, "a", "b")) == (
            "different payloads (settings.payloads.small)",
            "different circumstances (runtime)",
            "told by one run alone: smt",
        )

    def test_quick_runs_one_round_invalid_and_missing_trials_are_doubts(
        self, run: Run, with_trials: Callable[..., Run]
    ) -> None:
        base = dataclasses.replace(with_trials(lambda t: t.round == 1), quick=True)
        trials = (dataclasses.replace(run.trials[0], valid=False), *run.trials[1:-1])
        head = dataclasses.replace(run, trials=trials)
        assert doubts(compare_runs(base, head, "a", "b")) == (
            "a: one round, which proves nothing",
            "a: a quick run of short windows",
            "b: 1 invalid trial of 35 left out",
            "b: 1 planned trial not made",
        )

    def test_a_machine_that_changed_its_speed_shows_in_the_ceilings(self, run: Run) -> None:
        slower = tuple(
            dataclasses.replace(
                one,
                throughput_rps=0.5 * one.throughput_rps,
                ab_throughput_rps=one.ab_throughput_rps and 0.6 * one.ab_throughput_rps,
            )
            for one in run.ceilings
        )
        (doubt,) = doubts(compare_runs(run, dataclasses.replace(run, ceilings=slower), "a", "b"))
        # ApacheBench's where both have it, else the driver's own
        assert "2472 in place of 4120, a stub's requests/s (small, json)" in doubt
        assert "605 in place of 1210, a stub's requests/s (seed, json)" in doubt

    def test_a_run_against_itself_says_so(self, run: Run) -> None:
        assert doubts(compare_runs(run, run, "a", "b")) == ("both are the same run",)


class TestFingerprint:
    def test_code_images_and_how_often_it_was_measured_do_not_count(self) -> None:
        settings = {
            "rounds": 6,
            "startups": 10,
            "warm_startups": 10,
            "loop_s": 3.0,
            "seed": 1,
            "window_s": 10.0,
        }
        base = {
            "commit": "a",
            "dirty": False,
            "images": {"torch": "sha256:1"},
            "stolen_since_boot": 0.1,
            "settings": settings,
        }
        head = {
            "commit": "b",
            "dirty": True,
            "images": {"torch": "sha256:2"},
            "stolen_since_boot": 0.2,
            "settings": {
                "rounds": 2,
                "startups": 0,
                "warm_startups": 0,
                "loop_s": 0.0,
                "seed": 2,
                "window_s": 10.0,
            },
        }
        assert differing(base, head) == ()
        assert comparable_facts(environment_of(base)) == {"settings.window_s": "10.0"}

    @pytest.mark.parametrize(
        ("name", "base", "head"),
        [
            ("service_cores", "1", "2"),
            ("memory_bytes", 25 * 1024**3, 26 * 1024**3),
            ("engine_version", "26.1", "27.0"),
            ("cores_disjoint", True, False),
            ("governor", "performance", None),
        ],
    )
    def test_what_timings_hang_on_counts(self, name: str, base: object, head: object) -> None:
        (found,) = differing({name: base}, {name: head})
        assert found.name == name

    def test_settings_and_libraries_count_one_by_one(self) -> None:
        base = {"libraries": {"gevent": "1", "numpy": "2"}, "settings": {"clients": [50], "window_s": 10.0}}
        head = {
            "libraries": {"gevent": "1", "numpy": "3"},
            "settings": {"clients": [50, 1], "window_s": 10.0},
        }
        names = [one.name for one in differing(base, head)]
        assert names == ["libraries.numpy", "settings.clients"]

    def test_what_was_sent_differs_if_both_say_what_it_was(self, run: Run) -> None:
        one, other = (RunSettings(payload_digests={"small": digit * 64}) for digit in "ab")
        sides = [environment(run, settings=settings) for settings in (one, other)]
        assert doubts(compare_runs(*sides, "a", "b")) == (
            "different payloads (settings.payload_digests.small)",
        )
        (found,) = differing_facts(sides[0].environment, sides[1].environment)
        assert (found.base, found.head) == ("a" * 12, "b" * 12)
        older = environment(run, settings=RunSettings())
        assert doubts(compare_runs(older, sides[0], "a", "b")) == ()
        assert doubts(compare_runs(sides[0], older, "a", "b")) == ()

    def test_a_fact_that_one_alone_tells_differs_and_one_that_none_tells_does_not(self) -> None:
        assert differing({"smt": None}, {}) == ()
        assert differing({}, {"smt": False}) == (Difference("smt", "n/a", "False"),)

    def test_memory_may_differ_by_what_a_boot_leaves_of_it(self) -> None:
        assert differing({"memory_bytes": 25276510208}, {"memory_bytes": 25276514304}) == ()


class TestBadInput:
    def test_runs_that_share_no_strategy_are_refused_with_the_remedy(self, run: Run) -> None:
        one = {"torch": run.strategies["torch"]}, tuple(t for t in run.trials if t.strategy == "torch")
        two = {"onnx": run.strategies["onnx"]}, tuple(t for t in run.trials if t.strategy == "onnx")
        base, head = (dataclasses.replace(run, strategies=s, trials=t) for s, t in (one, two))
        with pytest.raises(
            UsageError, match=r"^a \(torch\) and b \(onnx\) share no strategy: compare runs of"
        ):
            compare_runs(base, head, "a", "b")

    def test_what_one_run_alone_has_is_listed_as_such(
        self, run: Run, with_trials: Callable[..., Run]
    ) -> None:
        base = with_trials(lambda t: t.strategy != "onnx" and t.payload_class == "small")
        base = dataclasses.replace(base, strategies={n: r for n, r in run.strategies.items() if n != "onnx"})
        found = compare_runs(base, run, "a", "b")
        assert found.only_base == ()
        assert found.only_head == (
            Unshared("onnx"),
            Unshared("torch", Case("seed", "json", "50 clients")),
            Unshared("batched", Case("seed", "json", "50 clients")),
        )
        assert "Only in head: onnx; torch (seed" in RENDERERS["text"](found)

    def test_one_trial_has_ratios_and_no_verdict(self, run: Run, with_trials: Callable[..., Run]) -> None:
        one = with_trials(lambda t: (t.round, t.strategy, t.payload_class) == (1, "torch", "small"))
        found = compare_runs(run, one, "a", "b")
        rate = only(found, "torch", "throughput")
        assert rate.comparison is not None
        assert (rate.comparison.low, rate.adjusted_p, measured_word(rate), rate.differs) == (
            None,
            None,
            "",
            False,
        )

    def test_only_invalid_trials_show_no_figure_and_no_pass(self, run: Run) -> None:
        trials = tuple(dataclasses.replace(t, valid=False) for t in run.trials)
        found = compare_runs(run, dataclasses.replace(run, trials=trials, strategies={}), "a", "b")
        assert not found.judges
        assert sentence(found).startswith("No load is compared: no load has figures in both runs.")
        assert {(one.head, one.comparison, measured_word(one)) for one in found.measured} == {
            (None, None, "")
        }
        assert "b: no valid trial of 36" in doubts(found)
        line = next(line for line in as_text(found, 140).splitlines() if "requests/s  " in line)
        assert line.split()[-4:] == ["n/a"] * 4

    def test_a_missing_metric_is_na_and_leaves_the_others(
        self, run: Run, with_trials: Callable[..., Run]
    ) -> None:
        found = compare_runs(noisy(run, 8), with_trials(cpu_ms_per_request=None), "a", "b")
        assert only(found, "torch", "cpu").comparison is None
        assert measured_word(only(found, "torch", "throughput"))
        written = json.loads(RENDERERS["json"](found))
        (cpu,) = [
            one
            for one in written["measured"]
            if (one["strategy"], one["metric"], one["place"]) == ("torch", "cpu", "seed, json, 50 clients")
        ]
        assert (cpu["head"], cpu["comparison"], cpu["word"]) == (None, None, None)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "no run.json"),
            ('{"schema_version": 2, "created": "2026', "is not JSON"),
            ('{"schema_version": 9}', "has schema 9"),
            ('{"schema_version": 2}', "does not fit schema"),
        ],
    )
    def test_a_folder_without_a_whole_run_is_refused_in_one_line(
        self, content: str | None, says: str, tmp_path: Path
    ) -> None:
        if content is not None:
            (tmp_path / "run.json").write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=says) as refused:
            read_run(tmp_path)
        assert "\n" not in str(refused.value)


class TestRenderings:
    @pytest.mark.slow
    def test_text_is_no_wider_than_columns_say_and_never_below_60_or_above_200(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = dataclasses.replace(
            noisy(run, 9), trials=tuple(_thousandfold(t) for t in noisy(run, 9).trials)
        )
        whole = compare_runs(full(run), full(noisy(run, 9)), "a", "b")
        for found in (whole, compare_runs(slow, slow, "a", "b")):
            for columns, most in ((20, 60), (60, 60), (83, 83), (100, 100), (200, 200), (999, 200)):
                monkeypatch.setenv("COLUMNS", str(columns))
                assert max(map(len, RENDERERS["text"](found).splitlines())) <= most
        monkeypatch.setenv("COLUMNS", "60")
        narrow = RENDERERS["text"](whole)
        assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
        assert "not told apart" in narrow
        assert "detectable change  " not in narrow
        monkeypatch.setenv("COLUMNS", "140")
        assert "detectable change  " in RENDERERS["text"](whole)
        monkeypatch.delenv("COLUMNS")
        assert as_text(whole, 100) == as_text(whole), "100 columns off a terminal"

    def test_markdown_has_a_table_and_folds_and_json_is_whole(self, run: Run) -> None:
        found = compare_runs(run, environment(noisy(run, 2, {"onnx": 0.8}), kernel="6.2"), "a", "b")
        html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(RENDERERS["markdown"](found))
        assert html.count("<table>") == 2
        assert html.count("<details>") == html.count("</details>") == 2
        written = json.loads(RENDERERS["json"](found))
        assert written["schema"] == 1
        assert len(written["measured"]) == len(found.measured)
        assert {one["word"] for one in written["measured"] if one["differs"]} == {"slower", "dearer"}
        assert written["differing"] == [{"name": "kernel", "base": "6.1.0", "head": "6.2"}]

    def test_no_text_of_a_run_becomes_html_or_a_link(self, run: Run) -> None:
        bad = "<img src=x> [x](http://example.org) @someone"
        head = environment(run, cpu_model=bad)
        found = compare_runs(run, head, f"base {bad}", bad)
        html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(RENDERERS["markdown"](found))
        assert "<img" not in html
        assert "<a " not in html
        assert "@someone" not in html

    def test_two_committed_runs_are_compared(self, tmp_path: Path) -> None:
        names = ("20261120T123610Z-8fc212b", "20261124T175723Z-e214b0c")
        for name in names:
            (tmp_path / name).mkdir()
            shutil.copy(ROOT / "results" / name / "run.json", tmp_path / name)
        base, head = (read_run(tmp_path / name) for name in names)
        found = compare_runs(base, head, *names)
        # the same code on a machine that ran at less than half its speed: the ceilings tell
        assert any(doubt.startswith("the machine itself was another") for doubt in doubts(found))
        assert [one.name for one in found.differing][:2] == ["kernel", "settings.warmup_s"]
        assert found.only_base == (Unshared("onnx"),)
        assert found.only_head == (Unshared("mosec"),)
        for render in RENDERERS.values():
            assert render(found)


def _thousandfold(trial: Trial) -> Trial:
    rate, latency = trial.throughput_rps or 0.0, trial.latency_ms
    long = LatencyMs((latency.p50 or 0) * 1e3, None, (latency.p99 or 0) * 1e3)
    return dataclasses.replace(trial, throughput_rps=rate * 1e3, latency_ms=long)
