"""report.html: whom to choose, one table and one picture; then every section, open or folded, once."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench.analysis.summary import Summary
from bench.model import Run
from bench.report import sections, text
from bench.report.contents import contents
from bench.report.document import Block, Bullets, Section
from bench.report.page import anchor, fill
from bench.report.page.figure_table import figure_table
from bench.report.page.pictures import Picture, embedded
from bench.report.plots import load
from bench.report.report import Report
from bench.report.sections.validity import of_the_run
from bench.report.writers import html

# sections of the report that the page shows in a way of its own
OWN = (sections.COMMAND,)
# of the warnings of the whole run, so many stand open
SHORT = 5


@dataclass(frozen=True, slots=True)
class PagePart:
    """A part of the page: its anchor, its heading, its content and the pictures below it.

    If it is `folded` it opens at its heading, beside which stands what it `holds`; else its pictures but the
    first are folded away.
    """

    anchor: str
    title: str
    html: Markup
    pictures: tuple[Picture, ...]
    folded: bool
    holds: str


def render(report: Report) -> str:
    """The page of a run."""
    run, summary = report.analysis.run, report.analysis.summary
    pictures = embedded(report.analysis, report.folder, report.pictures)
    figures = figure_table(report.analysis)
    first, rest = (pictures[:1], pictures[1:]) if figures else ([], pictures)
    beware = of_the_run(report.analysis)
    return fill(
        "run.html",
        title=f"{text.listing(list(summary.strategies) or ['no strategy'])}, {run.created[:10]}",
        choice=report.choice,
        checked=report.checked,
        picture=first[0] if first else None,
        state=state(run, summary),
        machine=report.machine,
        extra=[_part(section) for section in report.extra],
        figures=figures,
        one_round=summary.one_round,
        beware=html.blocks(beware, "What to beware of"),
        beware_count=_items(beware),
        short=SHORT,
        plural=text.plural,
        sections=_parts(report, _by_worth(summary, rest)),
        run=run,
        reproduce=_reproduce(run),
    )


def state(run: Run, summary: Summary) -> tuple[str, str]:
    """How far the run may be believed: a class for the eye and the words."""
    if summary.valid_trials == 0:
        return "invalid", "Invalid" if run.trials else "Nothing measured"
    if summary.one_round or run.quick:
        return "doubtful", "Proves nothing: " + ("one round" if summary.one_round else "a quick run")
    if summary.unchecked:
        return "doubtful", "Answers unchecked"
    left_out = summary.invalid_trials + summary.missing_trials
    if left_out:
        return "doubtful", f"{summary.valid_trials} of {text.plural(summary.all_trials, 'trial')} valid"
    return "valid", f"All {text.plural(summary.valid_trials, 'trial')} valid"


def _items(found: Sequence[Block]) -> int:
    return sum(len(one.items) for one in found if isinstance(one, Bullets))


def _by_worth(summary: Summary, pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures as they are read: how late all were at the same rates is the first."""
    if not any(case.at_due_times and case.same_for_all for case in summary.cases):
        return list(pictures)
    return sorted(pictures, key=lambda one: one.name != load.PLOT.name)


def _parts(report: Report, pictures: Sequence[Picture]) -> list[PagePart]:
    """The sections of the report, each with its pictures; then those of pictures alone."""
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.section, []).append(picture)
    found = [
        _part(section, groups.pop(section.title, ()))
        for section in report.sections
        if section.title not in OWN
    ]
    return found + [_part(Section(title, (), folded=True), left) for title, left in groups.items()]


def _part(section: Section, pictures: Sequence[Picture] = ()) -> PagePart:
    return PagePart(
        anchor=anchor(section.title),
        title=section.title,
        html=html.blocks(section.blocks, section.title),
        pictures=tuple(pictures),
        folded=section.folded,
        holds=contents(section.blocks, len(pictures)),
    )


def _reproduce(run: Run) -> list[tuple[str, str]]:
    """What a second run must share with this one, beside the machine."""
    environment = run.environment
    seed = environment.settings.seed if environment.settings else None
    commit = environment.commit or text.MISSING
    dirty = " and changes that were not committed" if environment.dirty else ""
    rows = [("commit", commit + dirty), ("seed", str(seed) if isinstance(seed, int) else text.MISSING)]
    images = environment.images or {}
    return [*rows, *((f"image of {name}", digest) for name, digest in images.items())]
