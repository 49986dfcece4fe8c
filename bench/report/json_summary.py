"""A run as one JSON document for programs: what the terminal shows and more, under the same names."""

import math
from collections.abc import Sequence

from bench.analysis.bare_loops import LimitShare, limit_shares
from bench.analysis.cases import Case
from bench.analysis.choice import Standing, choose
from bench.analysis.comparisons import Compared, NotCompared, compared, not_compared, to_baseline
from bench.analysis.doubt_counts import doubts
from bench.analysis.metrics import METRICS
from bench.analysis.mixed_classes import ClassRow, class_rows
from bench.analysis.starts import startup_s
from bench.analysis.summary import Row, Summary, rows_at, summarise
from bench.model import (
    TITLES,
    HeldOutResult,
    ImageSize,
    ParityResult,
    Quality,
    Run,
    SloResult,
    StrategyResult,
    in_words,
)
from bench.report.choice_sentence import choice_sentence
from bench.report.json_types import (
    SCHEMA,
    CaseJson,
    ChoiceJson,
    ClassJson,
    ComparisonJson,
    EstimateJson,
    HeldOutJson,
    ImageJson,
    LimitJson,
    NotComparedJson,
    ObjectiveJson,
    PairJson,
    ParityJson,
    QualityJson,
    RowJson,
    RunJson,
    StandingJson,
    StrategyJson,
)
from bench.report.sentence import machine_line, sentence
from bench.report.verdict_words import verdict_word
from bench.statistics import Estimate, median, proportion

# schema 1 of the document has these for CPU-ms, and no unit changes within a version
UNITS_OF_SCHEMA = {"CPU-ms/request": "ms/request"}


def summary_json(run: Run, folder: str | None = None, files: Sequence[str] = ()) -> RunJson:
    """The run as the document, with its folder's name and the report files in that folder."""
    summary = summarise(run)
    found = () if summary.one_round else compared(summary)
    parts, limits = class_rows(run, summary), limit_shares(run, summary)
    return {
        "schema": SCHEMA,
        "choice": _choice(run, summary),
        "sentence": _plain(sentence(run, summary)),
        "machine": _plain(machine_line(run)),
        "created": run.created,
        "command": run.command,
        "runtime": run.runtime,
        "quick": run.quick,
        "baseline": summary.baseline,
        "trials": {
            "planned": None if summary.searched else run.planned_trials,
            "valid": summary.valid_trials,
            "invalid": summary.invalid_trials,
            "missing": summary.missing_trials,
        },
        "requests": summary.requests,
        "errors": summary.errors,
        "wrong_answers": summary.wrong_answers,
        "strategies": [_strategy(name, result) for name, result in run.strategies.items()],
        "cases": [_case(case, summary) for case in summary.cases],
        "rows": [_row(row, found, parts, limits) for row in rows_at(summary, summary.cases)],
        "comparisons": [_pair(one) for one in found],
        "not_compared": [_not_compared(one) for one in (() if summary.one_round else not_compared(summary))],
        "objectives": [_objective(one) for one in run.objectives],
        "warnings": [
            {
                "code": one.code,
                "kind": TITLES[one.code],
                "invalid_trials": one.invalid,
                "valid_trials": one.valid,
                "strategies": list(one.strategies),
                "example": one.example.text,
                "remedy": one.example.remedy or None,
            }
            for one in doubts(run)
        ],
        "folder": folder,
        "files": list(files),
    }


def _choice(run: Run, summary: Summary) -> ChoiceJson:
    choice = choose(run, summary)
    told: ChoiceJson = {
        "pick": choice.pick,
        "proven": choice.proven,
        "sentence": _plain(choice_sentence(run, summary)),
        "standings": list(map(_standing, choice.standings)),
    }
    if choice.lesser:
        told["lesser"] = [
            {
                "strategy": one.strategy,
                "better": bool(one.ahead),
                "standings": list(map(_standing, one.standings)),
            }
            for one in choice.lesser
        ]
    return told


def _standing(one: Standing) -> StandingJson:
    return {
        "criterion": one.criterion,
        "case": _case_id(one.case) if one.case else None,
        "figures": dict(one.figures),
        "ahead": list(one.ahead),
    }


def _row(
    row: Row, found: Sequence[Compared], parts: Sequence[ClassRow], limits: Sequence[LimitShare]
) -> RowJson:
    mine = [one for one in to_baseline(found) if (one.strategy, one.case) == (row.strategy, row.case)]
    told: RowJson = {
        "strategy": row.strategy,
        "case": _case_id(row.case),
        "estimates": {name: _estimate(found, _unit(name)) for name, found in row.estimates.items()},
        "to_baseline": {one.metric: _comparison(one) for one in mine},
        "valid_trials": row.valid_trials,
        "invalid_trials": row.invalid_trials,
        "requests": row.requests,
        "errors": row.errors,
        "wrong_answers": row.wrong_answers,
        "refused": row.refused,
        "offered_per_s": _finite(row.offered_rps),
        "utilisation": _estimate(row.utilisation, "share of capacity"),
        "of_limit": next((_limit(one) for one in limits if one.row is row), None),
    }
    of_row = [one for one in parts if (one.strategy, one.case) == (row.strategy, row.case)]
    if of_row:
        told["classes"] = {one.payload_class: _class(one) for one in of_row}
    return told


def _limit(one: LimitShare) -> LimitJson:
    return {
        "requests_per_s": _estimate(one.rate, "requests/s"),
        "cpu_ms_per_request": _estimate(one.cpu_ms, "ms/request"),
        "batch_size": one.limit.batch_size,
        "of_rate": _estimate(one.of_rate, "share"),
        "of_cpu": _estimate(one.of_cpu, "share"),
    }


def _class(one: ClassRow) -> ClassJson:
    return {
        "requests": one.requests,
        "bad": one.bad,
        "estimates": {name: _estimate(found, _unit(name)) for name, found in one.estimates.items()},
    }


def _pair(one: Compared) -> PairJson:
    """A comparison with what was compared: a strategy and its case with a base and its case."""
    return {
        "strategy": one.strategy,
        "case": _case_id(one.case),
        "base": one.base,
        "base_case": _case_id(one.base_case),
        "relation": one.relation,
        "metric": one.metric,
        "found": _comparison(one),
    }


def _not_compared(one: NotCompared) -> NotComparedJson:
    pair = one.pairing
    return {
        "strategy": pair.strategy,
        "case": _case_id(pair.case),
        "base": pair.base,
        "base_case": _case_id(pair.base_case),
        "relation": pair.relation,
        "why": one.why,
        "utilisation": _finite(one.utilisations[1]),
        "base_utilisation": _finite(one.utilisations[0]),
    }


def _unit(metric: str) -> str:
    unit = METRICS[metric].unit
    return UNITS_OF_SCHEMA.get(unit, unit)


def _case(case: Case, summary: Summary) -> CaseJson:
    told: CaseJson = {
        "id": _case_id(case),
        "payload_class": case.payload_class,
        "encoding": case.encoding,
        "load": case.load,
        "kind": case.kind,
        "size": case.size,
        "even": case.arrivals == "constant",
    }
    if case.payload_class in summary.unchecked:
        told["unchecked"] = True
    return told


def _case_id(case: Case) -> str:
    return f"{case.payload_class}, {case.encoding}, {case.load}"


def _strategy(name: str, result: StrategyResult) -> StrategyJson:
    warm = result.warm_startup
    told: StrategyJson = {
        "name": name,
        "title": result.title,
        "start_s": _estimate(startup_s(result), "s"),
        "warm_start_s": _estimate(median(warm.first_correct_answer_s) if warm else None, "s"),
        "image": _image(result.image) if result.image else None,
        "parity": _parity(result.parity) if result.parity else None,
        "quality": _quality(result.quality),
    }
    if result.variant is not None:
        told["varied"] = {"of": result.variant.of, "settings": dict(result.variant.settings)}
    if result.held_out is not None:
        told["held_out"] = _held_out(result.held_out)
    if result.failure is not None:
        told["failure"] = {"code": result.failure.code, "why": in_words(result.failure)}
    return told


def _quality(one: Quality) -> QualityJson:
    return {
        "promise": one.promise,
        "tolerance": one.tolerance,
        "agreement": one.agreement,
        "loss": one.loss,
    }


def _held_out(found: HeldOutResult) -> HeldOutJson:
    return {
        "answers": found.answers,
        "same_label": found.same_label,
        "unread": found.unread,
        "truths": found.truths,
        "right": found.right,
        "reference_right": found.reference_right,
        "agreement": _estimate(proportion(found.same_label, found.answers), "share of answers"),
        "accuracy": _estimate(proportion(found.right, found.truths), "share of pictures"),
        "loss": found.loss,
        "largest_difference": _finite(found.largest_difference),
        "largest_at": found.largest_at,
    }


def _parity(found: ParityResult) -> ParityJson:
    told: ParityJson = {
        "answers": found.answers,
        "wrong": found.wrong,
        "tolerance": found.tolerance,
        "largest_difference": _finite(found.largest_difference),
        "largest_at": found.largest_at,
    }
    if found.largest_share is not None:
        told |= {"largest_share": found.largest_share, "share_at": found.share_at}
    if found.unchecked:
        told["unchecked"] = found.unchecked
    return told


def _image(image: ImageSize) -> ImageJson:
    return {
        "compressed_bytes": image.compressed_bytes,
        "unpacked_bytes": image.unpacked_bytes,
        "wasted_bytes": image.wasted_bytes,
        "model_bytes": image.model_bytes,
    }


def _objective(one: SloResult) -> ObjectiveJson:
    return {
        "strategy": one.strategy,
        "payload_class": one.payload_class,
        "encoding": one.encoding,
        "quantile": one.quantile,
        "bound_ms": one.bound_ms,
        "capacity_per_s": _finite(one.capacity_rps),
        "rate_per_s": _finite(one.rate_per_s),
        "goodput_per_s": _finite(one.goodput_rps),
        "why_none": one.why_none or None,
        "known": one.known,
    }


def _estimate(found: Estimate | None, unit: str) -> EstimateJson | None:
    if found is None or not math.isfinite(found.centre):
        return None
    low, high = _finite(found.low), _finite(found.high)
    return {"centre": found.centre, "low": low, "high": high, "n": found.n, "unit": unit}


def _comparison(one: Compared) -> ComparisonJson:
    found = one.comparison
    told: ComparisonJson = {
        "ratio": found.ratio,
        "low": _finite(found.low),
        "high": _finite(found.high),
        "n": found.n,
        "p": found.p_value,
        "adjusted_p": one.adjusted_p,
        "minimal_detectable_effect": _finite(found.minimal_detectable_effect),
        "differs": one.differs,
        "verdict": verdict_word(one) or None,
    }
    if not one.same_work:
        told["other_quality"] = True
    return told


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _plain(words: str) -> str:
    """Without no-break spaces, which are for the eye."""
    return words.replace("\N{NO-BREAK SPACE}", " ")
