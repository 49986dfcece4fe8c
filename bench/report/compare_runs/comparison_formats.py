"""A comparison of two runs for a terminal, for a pull request and for programs."""

import dataclasses
import json
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.cases import case_name
from bench.analysis.comparisons import UTILISATION_ALLOWED
from bench.analysis.held_rates import SEARCHES_DIFFER, HeldRates
from bench.analysis.metrics import METRICS, quantity
from bench.analysis.run_comparison import (
    Counted,
    Measured,
    OtherQuality,
    RowPair,
    RunComparison,
    Unshared,
)
from bench.model import SloResult
from bench.report import cells, text
from bench.report.compare_runs.comparison_sentences import (
    COUNTS,
    circumstances,
    doubts,
    objective_circumstances,
    offered,
    sentence,
)
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Section,
    Strong,
    Table,
    figures,
    name_column,
    paragraph,
    table,
)
from bench.report.exports.comment import within_comment
from bench.report.plain import printable, without_links
from bench.report.quality_words import DAGGER, OTHER_QUALITY
from bench.report.run_screen import MOST_PROSE, columns
from bench.report.sentence import machine_line
from bench.report.verdict_words import counted_word, held_word, measured_word, why_rows_not_compared
from bench.report.writers import markdown
from bench.report.writers.terminal import GAP, INDENT, Loss, fitted, lines
from bench.statistics import Comparison, Estimate

SCHEMA = 1
NOTE = (
    "Ratios are head to base with 95% intervals by Welch's t on logs: the rounds of two runs do not pair. "
    "A change of the machine between the runs is in the ratios, and not in their intervals; the gate "
    "measures both at once. Detectable change: the smallest that so many rounds find in 80 of 100 runs. "
    "Verdicts are corrected over all comparisons (Holm); a star marks a difference that would show on its "
    "own and may be chance among so many. Counts and sizes are compared exactly. Base and head show medians, "
    "of requests/s and CPU-ms geometric means; the ratios are of geometric means. n/a was not measured."
)
ARROW = "\N{RIGHTWARDS ARROW}"
OWN_RATES = (
    "If a rate follows from what was measured, each run has a rate of its own. Loads are compared if both "
    f"reached the same share of capacity, within {100 * UTILISATION_ALLOWED:.0f}% of it, or were offered the "
    "same rate; shares of a strategy's own capacity only by the share that was reached."
)
SEARCHED = (
    "A run searches once for an objective, so the ratio of rates that held has no interval and no verdict; "
    f"two searches of one service differ by up to {100 * SEARCHES_DIFFER:.0f}% on a quiet host, and by "
    "more on one with hiccups."
)
COLUMNS = (
    name_column("metric"),
    *figures("base", "head", "ratio", "detectable change"),
    Column("verdict", "text"),
)
# the sides' own intervals, what could be detected, of how many a count is, and the ratio's interval
GIVING_UP: tuple[Loss, ...] = (
    ("intervals", "base", "head"),
    ("column", "detectable change"),
    ("after", "base", "head"),
    ("intervals", "ratio"),
    GAP,
)


def as_text(comparison: RunComparison, width: int | None = None) -> str:
    """Plain text as wide as the terminal, 60 to 200 columns; the first lines say what is doubtful."""
    wide = columns(width)
    prose = min(wide, MOST_PROSE)
    doubtful = doubts(comparison)
    shown = _wrapped(f"DOUBTFUL: {'; '.join(doubtful)}.", prose) if doubtful else []
    shown += _wrapped(sentence(comparison), prose)
    shown += [
        "",
        *_wrapped(f"base  {comparison.base_name}: {machine_line(comparison.base)}", prose, "      "),
    ]
    shown += _wrapped(f"head  {comparison.head_name}: {machine_line(comparison.head)}", prose, "      ")
    for title, rows in _groups(comparison):
        room = wide - len(INDENT)
        aligned = lines(fitted(table(COLUMNS, rows), room, GIVING_UP), room)
        shown += ["", *_wrapped(title, prose), *(INDENT + line.plain for line in aligned)]
    for title, names in (*_left_out(comparison), *_lone(comparison)):
        shown += ["", *_wrapped(f"{title}: {'; '.join(names)}.", prose, "  ")]
    if comparison.differing:
        shown += ["", "What is not alike:"]
        for one in comparison.differing:
            shown += _wrapped(f"{INDENT}{one.name}: {one.base} {ARROW} {one.head}", prose, "    ")
    shown += ["", *_wrapped(_note(comparison).replace("`", ""), prose)]
    return printable("\n".join(shown)) + "\n"


def as_markdown(comparison: RunComparison) -> str:
    """For a pull request, without links or HTML of the runs' own; the first line says what is doubtful."""
    doubtful = doubts(comparison)
    blocks: list[Block] = [paragraph(Strong(f"Doubtful: {'; '.join(doubtful)}."))] if doubtful else []
    blocks += [
        paragraph(sentence(comparison)),
        Bullets(
            (
                (f"base: {comparison.base_name}, measured {machine_line(comparison.base)}",),
                (f"head: {comparison.head_name}, measured {machine_line(comparison.head)}",),
            )
        ),
    ]
    rows = [[cells.words(title), *row] for title, group in _groups(comparison) for row in group]
    whole = (Column("strategy", "text"), *COLUMNS[:-1], Column("verdict"))
    blocks += [table(whole, rows) if rows else paragraph("Nothing is in both runs.")]
    blocks += [
        paragraph(f"{title}: {'; '.join(names)}.")
        for title, names in (*_left_out(comparison), *_lone(comparison))
    ]
    folds = [Section("What the figures say", (paragraph(_note(comparison)),))]
    folds += [Section("What is not alike", (_facts(comparison),))] if comparison.differing else []
    return within_comment("\n".join(markdown.blocks(blocks, without_links)) + "\n", folds)


def _note(comparison: RunComparison) -> str:
    told = [NOTE, *([OWN_RATES] if comparison.own_rates else []), *([SEARCHED] if comparison.held else [])]
    told += [f"{OTHER_QUALITY}."] if comparison.other_qualities else []
    return " ".join(told)


def _left_out(comparison: RunComparison) -> list[tuple[str, Sequence[str]]]:
    """The rows that are not compared, with the reasons."""
    pairs = comparison.not_compared
    told = [f"{one.head.strategy}, {case_name(one.head.case)}: {why_rows_not_compared(one)}" for one in pairs]
    return [("Not compared", told)] if told else []


def _lone(comparison: RunComparison) -> list[tuple[str, Sequence[str]]]:
    sides = ("Only in base", comparison.only_base), ("Only in head", comparison.only_head)
    return [(title, [_unshared(one) for one in unshared]) for title, unshared in sides if unshared]


def _unshared(one: Unshared) -> str:
    if one.objective is not None:
        return f"{one.strategy} ({objective_circumstances(one.objective)})"
    return f"{one.strategy} ({case_name(one.case)})" if one.case else one.strategy


def _groups(comparison: RunComparison) -> list[tuple[str, list[list[Cell]]]]:
    """Rows under the strategy and the case, or the objective, that they are of."""
    groups: dict[str, list[list[Cell]]] = {}
    unlike = {one.strategy for one in comparison.other_qualities}
    for objective in comparison.held:
        title = f"{objective.of.strategy}, {objective_circumstances(objective.of)}"
        mark = DAGGER if objective.of.strategy in unlike and objective.ratio is not None else ""
        groups.setdefault(title, []).append(_held_cells(objective, mark))
    pairs = {pair.key: pair for pair in comparison.rows}
    everything: list[Measured | Counted] = [*comparison.measured, *filter(_is_shown, comparison.counted)]
    for one in everything:
        pair = pairs.get((one.strategy, one.case)) if one.case is not None else None
        rates = offered(pair) if pair else ""
        title = f"{one.strategy}, {circumstances(one)}" + (f" ({rates})" if rates else "")
        groups.setdefault(title, []).append(_cells(one, pair))
    return list(groups.items())


def _is_shown(one: Counted) -> bool:
    """Failed requests are shown if there are any, wrong answers and sizes always."""
    return one.name != "errors" or bool(one.base or one.head)


def _held_cells(one: HeldRates, mark: str) -> list[Cell]:
    sides = [_held(one.base), _held(one.head)]
    return [
        cells.words("held up to, requests/s"),
        *sides,
        replace(cells.plain_ratio(one.ratio), after=mark),
        cells.BLANK,
        cells.words(held_word(one)),
    ]


def _held(found: SloResult | None) -> Cell:
    if found is None or not found.known:
        return Cell("not known", missing=True)
    return Cell("none", missing=True) if found.rate_per_s is None else cells.number(found.rate_per_s)


def _cells(one: Measured | Counted, pair: RowPair | None) -> list[Cell]:
    if isinstance(one, Counted):
        verdict = counted_word(one)
        sides = [_count(one.base, one.of and one.of[0]), _count(one.head, one.of and one.of[1])]
        figures_ = [*sides, _exact_ratio(one), cells.BLANK]
        return [cells.words(COUNTS[one.name]), *figures_, cells.words(verdict) if verdict else cells.MISSING]
    verdict = measured_word(one)
    return [
        cells.words(quantity(one.metric).heading),
        *_sides(one, pair),
        cells.ratio(one.comparison, "" if one.same_work else DAGGER),
        cells.effect(one.comparison.minimal_detectable_effect if one.comparison else None),
        cells.words(verdict) if verdict else cells.MISSING,
    ]


def _sides(one: Measured, pair: RowPair | None) -> tuple[Cell, Cell]:
    """Base and head; of an overloaded row the least and the most of its rounds."""
    if pair is not None:
        metric = METRICS[one.metric]
        return cells.of_row(pair.base, metric), cells.of_row(pair.head, metric)
    scale = quantity(one.metric).scale
    return cells.estimate(one.base, scale), cells.estimate(one.head, scale)


def _count(value: int | None, of: int | None) -> Cell:
    if value is None:
        return cells.MISSING
    return Cell(text.spaced(value), after=f" of {text.spaced(of)}" if of is not None else "", value=value)


def _exact_ratio(one: Counted) -> Cell:
    """The ratio of two sizes to four decimals, which shows a change of a few kilobytes; empty for counts."""
    if one.of or one.head is None or not one.base:
        return cells.BLANK
    return Cell(f"{one.head / one.base:.4f}{text.TIMES}", value=one.head / one.base)


def _facts(comparison: RunComparison) -> Table:
    """The facts that differ between the two runs."""
    rows = [map(cells.words, (one.name, one.base, one.head)) for one in comparison.differing]
    return table((name_column("fact"), Column("base", "text"), Column("head", "text")), rows)


def _wrapped(line: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=indent)


def as_json(comparison: RunComparison) -> str:
    """The whole comparison as one object, with the verdicts' words."""
    whole = {
        "schema": SCHEMA,
        "judges": comparison.judges,
        "base_name": comparison.base_name,
        "head_name": comparison.head_name,
        "sentence": sentence(comparison),
        "doubts": doubts(comparison),
        "differing": [dataclasses.asdict(one) for one in comparison.differing],
        "measured": [_measured(one) for one in comparison.measured],
        "counted": [_counted(one) for one in comparison.counted],
        "only_base": [_unshared(one) for one in comparison.only_base],
        "only_head": [_unshared(one) for one in comparison.only_head],
        "own_rates": comparison.own_rates,
        "not_compared": [_not_compared(one) for one in comparison.not_compared],
        "objectives": [_objective(one) for one in comparison.held],
        "other_qualities": [_other_quality(one) for one in comparison.other_qualities],
        "base_machine": machine_line(comparison.base),
        "head_machine": machine_line(comparison.head),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _measured(one: Measured) -> dict[str, Any]:
    return {
        "strategy": one.strategy,
        "place": circumstances(one),
        "metric": one.metric,
        "base": _as_object(one.base),
        "head": _as_object(one.head),
        "comparison": _as_object(one.comparison),
        "adjusted_p": one.adjusted_p,
        "word": measured_word(one) or None,
        "differs": one.differs,
        "same_work": one.same_work,
    }


def _other_quality(one: OtherQuality) -> dict[str, Any]:
    """What both runs promise of a strategy's answers."""
    sides = {"base": dataclasses.asdict(one.base.quality), "head": dataclasses.asdict(one.head.quality)}
    return {"strategy": one.strategy, **sides}


def _not_compared(pair: RowPair) -> dict[str, Any]:
    """The loads of both runs, and why they are not compared."""
    sides = {
        f"{side}_{name}": value
        for side, row in pair.sides
        for name, value in (
            ("offered_per_s", row.offered_rps),
            ("utilisation", row.utilisation.centre if row.utilisation else None),
            ("overloaded_trials", row.overloaded_trials),
        )
    }
    return {
        "strategy": pair.head.strategy,
        "place": case_name(pair.head.case),
        "why": pair.why_not,
        "words": why_rows_not_compared(pair),
        **sides,
    }


def _objective(one: HeldRates) -> dict[str, Any]:
    """The rate up to which an objective held in both runs; null if it held at none, or if nobody knows."""
    sides = {
        f"{side}_{name}": value
        for side, found in (("base", one.base), ("head", one.head))
        for name, value in (
            ("per_s", found.rate_per_s if found else None),
            ("goodput_per_s", found.goodput_rps if found else None),
            ("known", found is not None and found.known),
        )
    }
    return {
        "strategy": one.of.strategy,
        "place": objective_circumstances(one.of),
        "quantile": one.of.quantile,
        "bound_ms": one.of.bound_ms,
        **sides,
        "ratio": one.ratio,
        "outcome": one.outcome,
        "word": held_word(one),
    }


def _counted(one: Counted) -> dict[str, Any]:
    return {
        "strategy": one.strategy,
        "place": circumstances(one),
        "what": COUNTS[one.name],
        "base": one.base,
        "head": one.head,
        "of": one.of,
        "word": counted_word(one) or None,
    }


def _as_object(value: Estimate | Comparison | None) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)
