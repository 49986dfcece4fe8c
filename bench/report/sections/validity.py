"""What the figures are worth: which trials count, the doubts of the run, and what the figures mean."""

from collections import Counter

from bench.analysis import doubt_counts
from bench.analysis.cases import load_size
from bench.analysis.doubt_counts import reasons
from bench.analysis.run_analysis import RunAnalysis
from bench.model import BIAS_BOUND, TITLES, ClosedLoad, Trial, gravity, in_words
from bench.report import cells, doubt_words, text
from bench.report.document import (
    NOT_MEASURED,
    Block,
    Bullets,
    Code,
    CodeBlock,
    Column,
    Emphasis,
    Folded,
    Text,
    figures,
    name_column,
    paragraph,
    table,
)

REASONS = paragraph(
    "A trial that has several reasons counts under each. It is invalid, and left out, if one of them voids "
    "it; the first column counts the trials that a reason voids."
)
ONE_ROUND: Text = ("One round proves nothing: it shows that everything runs.",)
OPEN: Text = (
    "An open loop (requests come due by a schedule, whether or not earlier ones are answered) shows latency "
    "at a rate. Its latencies run from due, not from sent. ",
    Emphasis("Refused"),
    f" requests are neither errors nor answers: they were {text.REFUSED}. ",
    "Such a load's requests are those that came due in the window, however late they ended; its throughput "
    "counts the right answers that ended in it. ",
    Emphasis("With failures"),
    " is over all requests: one without a right answer counts as never ending. The other quantiles are of "
    "right answers.",
)
CLOSED_BY_DUE: Text = (
    "A closed loop's requests are those that were sent in the window, however late they were answered; its "
    "throughput counts the right answers that ended in it.",
)
MEANING: tuple[Text, ...] = (
    (
        "A closed loop (clients that each wait for their answer) shows capacity. Its latencies are those of "
        "a service kept full, not those that users of a quieter one would see.",
    ),
    (
        "A trial is one sample: the intervals come from the spread between rounds, on this machine, in one "
        "run. Other machines, cores and days are outside them; ratios travel better than absolute figures.",
    ),
    ("Latency counts right answers, from due to done. Failed requests and wrong answers are counted apart.",),
    (
        "An INVALID trial is left out of every figure. There is one exception: if the service itself made it "
        "invalid, it counts in the bound on the tail. ",
        Emphasis("Not steady"),
        ": throughput or response times change within the window by more than a tenth, and by more than "
        "chance explains.",
    ),
    (Code("n/a"), " is a figure that was not measured or that has too few samples; it is never 0."),
)
PROCESSES: Text = ("The services ran as local processes, not in containers: there is no image to size.",)


def validity(analysis: RunAnalysis) -> list[Block]:
    """How many trials count, and the doubts of trials; empty if all trials were made and none has a doubt."""
    run, summary = analysis.run, analysis.summary
    invalid, valid, voiding = Counter[str](), Counter[str](), Counter[str]()
    for trial in run.trials:
        (valid if trial.valid else invalid).update({TITLES[one.code] for one in reasons(trial)})
        voiding.update({TITLES[one.code] for one in reasons(trial) if one.voids})
    if not invalid and not valid and not summary.missing_trials:
        return []
    place = {title: gravity(code) for code, title in TITLES.items()}
    counted = paragraph(
        f"{text.valid_trials(run, summary)}, {summary.invalid_trials} invalid and left out"
        + ("." if summary.searched else f", {summary.missing_trials} not made.")
    )
    rows = [
        [cells.words(reason), *(cells.count(each[reason]) for each in (voiding, invalid, valid))]
        for reason in sorted(
            {*invalid, *valid}, key=lambda one: (place[one], -invalid[one], -valid[one], one)
        )
    ]
    columns = [name_column("reason"), *figures("voids", "in invalid trials", "in valid trials")]
    return [counted, table(columns, rows), REASONS] if rows else [counted]


def of_the_run(analysis: RunAnalysis) -> list[Block]:
    """What every figure of the run is to be read with: its own doubts, and that trials were not made."""
    run, summary = analysis.run, analysis.summary
    told = doubt_counts.of_the_run(run)
    items = [doubt_words.told_once(one) for one in told]
    if summary.missing_trials:
        items.append(f"{text.plural(summary.missing_trials, 'planned trial')} not made")
    blocks: list[Block] = [Bullets(tuple((item,) for item in items))] if items else []
    if any(one.alike > 1 for one in told):
        blocks.append(
            Folded(
                "Each of these warnings",
                (Bullets(tuple((in_words(d),) for d in doubt_counts.doubts_of_the_run(run))),),
            )
        )
    return blocks


def warnings(analysis: RunAnalysis) -> list[Block]:
    """All doubts of each trial."""
    run, summary = analysis.run, analysis.summary
    items = []
    for trial in sorted(run.trials, key=_place):
        place = f"round {trial.round}, {trial.strategy}, {trial.payload_class}"
        place += f", {trial.load.label}" if summary.several_loads else ""
        state = "" if trial.valid else " (INVALID, left out)"
        if doubts := reasons(trial):
            items.append(f"{place}{state}: {'; '.join(map(in_words, doubts))}")
    return [Bullets(tuple((item,) for item in items))] if items else []


def _place(trial: Trial) -> tuple[object, ...]:
    return trial.round, trial.strategy, trial.payload_class, trial.encoding, load_size(trial.load)


def meaning(analysis: RunAnalysis) -> list[Block]:
    """What was offered, and what the figures say and do not say."""
    offers = sorted({(*load_size(trial.load), trial.load.label) for trial in analysis.run.trials})
    items: list[Text] = [ONE_ROUND] if analysis.summary.one_round else []
    items += [_offered(analysis, [label for _, _, label in offers])]
    items += [OPEN] if any(kind != "closed" for kind, _, _ in offers) else []
    items += [CLOSED_BY_DUE] if any(map(_closed_by_due, analysis.run.trials)) else []
    items += MEANING
    items += [PROCESSES] if analysis.run.runtime == "process" else []
    return [Bullets(tuple(items))]


def _closed_by_due(trial: Trial) -> bool:
    """Whether it is of a closed loop and not of an older run, which counted those by when they ended."""
    return isinstance(trial.load, ClosedLoad) and trial.counted_by == "due"


def _offered(analysis: RunAnalysis, loads: list[str]) -> Text:
    if not loads:
        return ("No load was offered.",)
    windows = text.seconds([trial.window_s for trial in analysis.run.trials])
    # warm-ups end when they are steady, by evidence
    warmed = text.seconds([trial.warmup_s for trial in analysis.run.trials])
    return (
        f"Offered: {'; '.join(loads)}; windows of {windows} after warm-ups of {warmed}.{_biases(analysis)}",
    )


def _biases(analysis: RunAnalysis) -> str:
    """How far windows may be off by what was left of the warm-up; empty if trials do not say."""
    biases = sorted(
        one.warmup_bias for one in analysis.run.trials if one.valid and one.warmup_bias is not None
    )
    if not biases:
        return ""
    excluded = sum(one <= BIAS_BOUND for one in biases)
    middle = biases[len(biases) // 2]
    return (
        f" The trend of a trial's warm-up and window excludes that the window is off by more than "
        f"{BIAS_BOUND:.0%} in {excluded} of {len(biases)} valid trials; half of the trials allow "
        f"{middle:.1%} or more, and one allows {biases[-1]:.1%}."
    )


def environment(analysis: RunAnalysis) -> list[Block]:
    """Every fact of the environment."""
    rows = [
        [cells.words(key), cells.words(value)] for key, value in text.environment(analysis.run.environment)
    ]
    return [table([name_column("what"), Column("value", "text")], rows)] if rows else [NOT_MEASURED]


def command(analysis: RunAnalysis) -> list[Block]:
    """The command that made the run."""
    return [CodeBlock(analysis.run.command, "sh")]
