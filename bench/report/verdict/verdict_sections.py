"""What a judgement says, as values: a table of its findings, and the sections that are folded away."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.analysis.metrics import METRICS
from bench.gate import EXIT_CODES, Judgement, RuleFinding
from bench.gate.limit_metrics import LIMITS
from bench.report import cells, text
from bench.report.document import (
    Block,
    Bullets,
    Cell,
    CodeBlock,
    Column,
    Emphasis,
    Section,
    Strong,
    Table,
    Text,
    name_column,
    paragraph,
    table,
    tabulated,
)
from bench.report.plain import one_line
from bench.report.sentence import machine_line
from bench.report.verdict.verdict_sentences import (
    TITLES,
    bound,
    finding_sentence,
    label,
    percentage,
    ratio_parts,
    size,
)

ENVIRONMENT = "Environment"
MEANING: tuple[Text, ...] = (
    (
        Strong("Regression"),
        ": the 95% interval of the ratio lies wholly beyond the allowed change, also after Holm's correction "
        "for the number of rules, and a second batch of fresh containers says the same. Or a limit, which "
        "chance does not move, is broken.",
    ),
    (
        Strong("Pass"),
        ": the interval lies wholly on the good side of the allowed change. A larger change for the worse "
        "is excluded; that nothing changed is not shown.",
    ),
    (
        Strong("Inconclusive"),
        ": the interval holds the allowed change, or a second batch did not confirm the first: the change "
        "may be larger or smaller. Measure more rounds, or measure on a quieter machine. ",
        Emphasis("Detectable change"),
        " is the smallest change that so many rounds find in 80 of 100 cases.",
    ),
    (
        Strong("Invalid"),
        ": a figure is missing or may not be believed. What is not measured never passes.",
    ),
)


def findings_table(judgement: Judgement, headers: Iterable[str]) -> Table:
    """A row for each rule, with the columns that have these headers."""
    columns = {column.header: column for column in FIELDS}
    return tabulated(judgement.findings, [(columns[header], FIELDS[columns[header]]) for header in headers])


def findings(judgement: Judgement) -> list[Block]:
    """A table of all rules, and a line for each that is not a pass."""
    headers = ("verdict", "what", "base", "head", "head to base", "allowed change", "detectable change")
    lines = tuple(_line(finding) for finding in judgement.findings if finding.verdict != "pass")
    shown = findings_table(judgement, headers)
    return [shown, Bullets(lines)] if lines else [shown]


def folded(judgement: Judgement) -> list[Section]:
    """What is not for the first look; sections without content are left out."""
    passed = [_line(finding) for finding in judgement.findings if finding.verdict == "pass"]
    notes = dict.fromkeys(
        (one_line(f"{finding.strategy}: {note}"),) for finding in judgement.findings for note in finding.notes
    )
    differences = [(one.name, one.base, one.head) for one in judgement.differences]
    measured = paragraph(one_line(f"Measured {machine_line(judgement.head)}."))
    # without backticks nothing leaves its fence
    command = one_line(judgement.head.command).replace("`", "'")
    codes = ", ".join(f"{code} {verdict}" for verdict, code in EXIT_CODES.items())
    found: list[tuple[str, Sequence[Block]]] = [
        ("What passed, in words", [Bullets(tuple(passed))] if passed else []),
        ("What was left out, and what is doubtful", [Bullets(tuple(notes))] if notes else []),
        (
            "Where base and head were measured under other conditions",
            _words_table(("what", "base", "head"), differences),
        ),
        (
            ENVIRONMENT,
            [measured, *_words_table(("what", "value"), text.environment(judgement.head.environment))],
        ),
        ("How to reproduce", [CodeBlock(command, "sh"), paragraph(f"Exit codes: {codes}.")]),
        ("What the verdicts mean", [Bullets(MEANING)]),
    ]
    return [Section(title, tuple(blocks)) for title, blocks in found if blocks]


def _line(finding: RuleFinding) -> Text:
    return Strong(TITLES[finding.verdict]), f": {one_line(finding_sentence(finding))}."


def _words_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Block]:
    first, *others = headers
    columns = [name_column(first), *(Column(header, "text") for header in others)]
    return [table(columns, [[cells.words(one_line(word)) for word in row] for row in rows])] if rows else []


def _verdict(finding: RuleFinding) -> Cell:
    return Cell(TITLES[finding.verdict].lower(), strong=finding.verdict != "pass")


def _side(of: Callable[[RuleFinding], float | None]) -> Callable[[RuleFinding], Cell]:
    """A side's figure with its unit."""

    def cell(finding: RuleFinding) -> Cell:
        value = of(finding)
        if value is None:
            return cells.MISSING
        written = {"bytes": size, "share": percentage, "count": text.spaced}
        primary = METRICS[finding.metric] if finding.kind in ("primary", "long") else None
        unit = primary.unit if primary else LIMITS[finding.metric].unit
        if primary and unit not in written:
            shown = f"{text.number(value * primary.scale)} {primary.shown_unit}"
        else:
            shown = written[unit](value)
        return Cell(shown, value=value)

    return cell


def _ratio(finding: RuleFinding) -> Cell:
    """Head over base with its interval; a limit has a ratio if both sides have a size."""
    if finding.kind in ("primary", "long"):
        found = finding.comparison
        if found is None:
            return cells.MISSING
        return Cell(*ratio_parts(found, finding.edge), value=found.ratio)
    if finding.kind == "strategy" or not LIMITS[finding.metric].increases:
        return cells.BLANK
    if not finding.base or not finding.head:
        return cells.MISSING
    ratio = finding.head / finding.base
    return Cell(f"{ratio:.3f}{text.TIMES}", value=ratio)


def _detectable(finding: RuleFinding) -> Cell:
    """The least difference that so many rounds tell apart; nothing for what chance does not move."""
    if finding.kind != "primary":
        return cells.BLANK
    return cells.effect(finding.comparison.minimal_detectable_effect if finding.comparison else None)


FIELDS: Mapping[Column, Callable[[RuleFinding], Cell]] = {
    Column("verdict", "text"): _verdict,
    name_column("what"): lambda one: cells.words(one_line(f"{one.strategy} {label(one)}")),
    Column("base"): _side(lambda one: one.base),
    Column("head"): _side(lambda one: one.head),
    Column("head to base"): _ratio,
    Column("allowed change", sortable=False): lambda one: cells.words(one_line(bound(one))),
    Column("detectable change"): _detectable,
}
