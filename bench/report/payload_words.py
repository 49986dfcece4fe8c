"""What classes of payloads are called in a sentence: by their size, where that says more than their name."""

from collections.abc import Sequence

from bench.analysis.cases import Case
from bench.analysis.summary import Summary
from bench.model import PayloadSizes, Run, SloResult
from bench.report import text

# files whose sizes differ by more have no size in common
MOST_SPREAD = 2.0
UNITS = ((1e6, "MB"), (1e3, "KB"), (1.0, "bytes"))
DIGITS = 2


def payload_words(run: Run, summary: Summary, cases: Sequence[Case]) -> str:
    """`20 KB and 230 KB pictures`, or by the names of the classes: `small and seed payloads`."""
    return _listed([_called(run, case.payload_class, summary.payload_label(case)) for case in cases])


def searched_words(run: Run, summary: Summary, found: Sequence[SloResult]) -> str:
    """The same of what a search was made with: `20 KB pictures`."""
    told = []
    for one in found:
        label = f"{text.searched_payloads(run, one)}{summary.unchecked_mark(one.payload_class)}"
        told.append(_called(run, one.payload_class, label))
    return _listed(told)


def _listed(told: Sequence[tuple[str, str]]) -> str:
    if len({noun for _, noun in told}) == 1:
        return f"{text.listing([what for what, _ in told])} {told[0][1]}"
    return text.listing([f"{what} {noun}" for what, noun in told])


def _called(run: Run, payload_class: str, label: str) -> tuple[str, str]:
    """A size and `pictures`, or a class's name and `payloads`."""
    settings = run.environment.settings
    sizes = dict(settings.payload_sizes or {}) if settings else {}
    mine = sizes.get(payload_class)
    said = [size_words(one) for one in sizes.values()]
    own = None if mine is None else size_words(mine)
    if mine is None or own is None or said.count(own) > 1:
        return label, "payloads"
    # the label may say more than the class's name: the encoding, or that answers are unchecked
    return own, ("pictures" if mine.pictures else "payloads") + label.removeprefix(payload_class)


def size_words(sizes: PayloadSizes) -> str | None:
    """The median with two digits: `20 KB`; None if sizes are mixed."""
    if sizes.least <= 0 or sizes.most > MOST_SPREAD * sizes.least:
        return None
    rounded = float(f"{sizes.median:.{DIGITS}g}")
    scale, unit = next((scale, unit) for scale, unit in UNITS if rounded >= scale)
    return f"{rounded / scale:g} {unit}"
