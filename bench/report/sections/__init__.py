"""The sections of a run's report, in their order: each is a function of the run's analysis."""

from collections.abc import Callable, Mapping, Sequence

from bench.analysis.run_analysis import RunAnalysis
from bench.report.document import Block, Section
from bench.report.sections.against_itself import against_itself
from bench.report.sections.answers import answers
from bench.report.sections.comparisons import comparisons
from bench.report.sections.deployment import image_sizes, startup
from bench.report.sections.insides import driver, loops, stages
from bench.report.sections.loads import loads
from bench.report.sections.mixes import mixes
from bench.report.sections.objectives import capacities, objectives, repeats, tails
from bench.report.sections.resources import cost, resources
from bench.report.sections.uptimes import uptimes
from bench.report.sections.validity import command, environment, meaning, validity, warnings
from bench.report.sections.variants import variants

VALIDITY = "Which trials count"
WARNINGS = "Warnings"
MEANING = "What these figures say, and what they do not"
ENVIRONMENT = "Environment"
COMMAND = "Made by"

SECTIONS: Mapping[str, Callable[[RunAnalysis], Sequence[Block]]] = {
    "The same against itself": against_itself,
    "Service objectives": objectives,
    "Throughput and latency": loads,
    "Variants": variants,
    "Latency by class": mixes,
    "Cost": cost,
    "Comparisons": comparisons,
    "The tail": tails,
    "Answers": answers,
    "Over uptime": uptimes,
    "Resources": resources,
    "Startup": startup,
    "Image size": image_sizes,
    "Where the time goes": stages,
    "Service against its own bare loop": loops,
    "The driver's ceiling": driver,
    "Capacities": capacities,
    "Repeated payloads": repeats,
    VALIDITY: validity,
    WARNINGS: warnings,
    MEANING: meaning,
    ENVIRONMENT: environment,
    COMMAND: command,
}
# what few readers open: how figures came about, what stands below them, and how to make them anew
FOLDED = frozenset(
    (
        *("The tail", "Answers", "Over uptime", "Resources", "Startup", "Image size"),
        *("Where the time goes", "Service against its own bare loop", "The driver's ceiling"),
        *("Capacities", "Repeated payloads", VALIDITY, WARNINGS, MEANING, ENVIRONMENT),
    )
)


def sections(analysis: RunAnalysis) -> tuple[Section, ...]:
    """The sections of a run that have any content."""
    every = (Section(title, tuple(blocks(analysis)), title in FOLDED) for title, blocks in SECTIONS.items())
    return tuple(section for section in every if section.blocks)
