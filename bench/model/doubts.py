"""A reason not to believe a figure: what people read, and what code decides by."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Cause = Literal["service", "host", "driver", "harness"]

DoubtCode = Literal[
    # of a trial that could not be measured
    "interrupted",
    "start_failed",
    "capacity_unknown",
    # of the requests in a trial's window
    "wrong_answers",
    "quality_missed",
    "failed_requests",
    "timed_out",
    "faults_allowed",
    "clocks_disagree",
    "requests_lost",
    "late_sends",
    "clients_busy",
    "nothing_answered",
    "littles_law",
    "idle_clients",
    "overloaded",
    "refusing",
    "window_cut",
    "too_few_answers",
    "not_steady",
    "warmup_open",
    # of the service's copy, the driver and the host during a trial
    "out_of_memory",
    "restarted",
    "exited",
    "accounting_unread",
    "throttled",
    "stolen",
    "stolen_unknown",
    "other_cpu",
    "other_cpu_unknown",
    "children_cpu_unknown",
    "cpu_unseen",
    "memory_repeated",
    "workers_lost",
    "driver_may_limit",
    "driver_busy",
    "clocks_apart",
    "no_reason",
    # of the whole run
    "incomplete",
    "resumed",
    "one_round",
    "quick",
    "shared_core",
    "not_pinned",
    "unchecked_answers",
    "answers_alike",
    "no_images",
    "size_unknown",
    "ceiling_unknown",
    "caching_unknown",
    "answers_cached",
    "copies_wrong",
    "quality_on_few",
    "accuracy_unknown",
    "loop_failed",
    "not_removed",
    "not_measured",
    "not_built",
    "changes_with_uptime",
    "long_trial_doubtful",
    "attached",
    "ceiling_without_tls",
    "account_of_another",
    "other",
]

TITLES: dict[DoubtCode, str] = {
    "interrupted": "interrupted before its window ended",
    "start_failed": "the service did not start",
    "capacity_unknown": "the capacity is not known, of which the load is a share",
    "wrong_answers": "wrong answers",
    "quality_missed": "answers of less quality than the strategy declares",
    "failed_requests": "failed requests",
    "timed_out": "requests without an answer in time",
    "faults_allowed": "requests without a right answer, as the bounds allow",
    "clocks_disagree": "the driver's clocks disagree",
    "requests_lost": "the driver lost or doubled requests",
    "late_sends": "the driver was late",
    "clients_busy": "more requests waited than the driver keeps in flight",
    "nothing_answered": "no request was answered correctly in the window",
    "littles_law": "Little's law is off",
    "idle_clients": "the driver's clients were idle",
    "overloaded": "overloaded",
    "refusing": "overloaded: requests were refused",
    "window_cut": "requests waited across an end of the window",
    "too_few_answers": "too few answers to see whether the window was steady",
    "not_steady": "not steady",
    "warmup_open": "the service still changed when its window began",
    "out_of_memory": "the container ran out of memory and was killed",
    "restarted": "the container was restarted",
    "exited": "the service exited",
    "accounting_unread": "the service's accounting could not be read",
    "throttled": "the kernel throttled the container",
    "stolen": "the host stole time of the service's core",
    "stolen_unknown": "whether the host stole time of the service's core is not known",
    "other_cpu": "other processes used the cores of the service or the driver",
    "other_cpu_unknown": "whether other processes used the cores is not known",
    "children_cpu_unknown": "the CPU time of processes that ended is not known",
    "cpu_unseen": "no CPU time of the service was seen",
    "memory_repeated": "memory that processes share may count several times",
    "workers_lost": "driver workers were lost",
    "driver_may_limit": "the driver may be the limit",
    "driver_busy": "a core of the driver was busy",
    "clocks_apart": "the workers' clocks may be apart",
    "no_reason": "no reason was recorded",
    "incomplete": "the run is not complete",
    "resumed": "the run was resumed",
    "one_round": "one round proves nothing",
    "quick": "a quick run",
    "shared_core": "driver and service share a core",
    "not_pinned": "the driver was not kept to its cores",
    "unchecked_answers": "answers were not checked",
    "answers_alike": "the check does not tell answers apart",
    "no_images": "image size is not measurable without containers",
    "size_unknown": "the size of an image is not known",
    "ceiling_unknown": "the driver's ceiling is not known",
    "caching_unknown": "whether a service keeps answers is not known",
    "answers_cached": "a service seems to keep answers",
    "copies_wrong": "copies of images were answered wrongly",
    "quality_on_few": "a declared agreement was judged on few requests",
    "accuracy_unknown": "whether a strategy loses accuracy is not known",
    "loop_failed": "the in-process loop failed",
    "not_removed": "a copy of a service could not be removed",
    "not_measured": "a strategy could not be measured",
    "not_built": "an image could not be built",
    "changes_with_uptime": "a service changes with its uptime, beyond the windows",
    "long_trial_doubtful": "something is held against a long trial",
    "attached": "a service ran already and was not started",
    "ceiling_without_tls": "the driver's ceiling was measured without TLS",
    "account_of_another": "the process or container that was named may not be the service",
    "other": "another warning",
}
"""What stands for all doubts of one code where they are counted."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason not to believe a figure.

    `text` says it to people, with the figure and its bound, and nothing else reads it; `remedy` says what to
    do about it, and is empty only if nothing can be done. `voids` tells whether it makes the trial invalid,
    `cause` whose doing it is.
    """

    code: DoubtCode
    text: str
    remedy: str
    voids: bool
    cause: Cause


# what a service's end, or the harness's, explains stands behind it
GRAVEST: tuple[DoubtCode, ...] = (
    "start_failed",
    "out_of_memory",
    "exited",
    "restarted",
    "interrupted",
    "wrong_answers",
    "quality_missed",
    "failed_requests",
    "timed_out",
)


def gravity(code: DoubtCode) -> int:
    """The place of a doubt of this code among others, 0 for the gravest; most codes share the last place.

    A service that was killed makes its window unsteady too, and its load too great: what to do about that
    must not stand before what happened.
    """
    return GRAVEST.index(code) if code in GRAVEST else len(GRAVEST)


def is_grave(code: DoubtCode) -> bool:
    """Whether a doubt of this code tells of a failure, and not only of figures that are not to be trusted."""
    return code in GRAVEST


def gravest_first(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """The doubts in the order in which people should read them: those that void first, by their gravity."""
    return tuple(sorted(doubts, key=lambda one: (not one.voids, gravity(one.code))))


def in_words(doubt: Doubt) -> str:
    """The doubt as a sentence for people: what is wrong and what to do about it."""
    return f"{doubt.text}; {doubt.remedy}" if doubt.remedy else doubt.text
