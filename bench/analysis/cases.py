"""The cases of a run: a class of payloads in one encoding under one load, with its name and its order."""

from dataclasses import dataclass, field, replace

from bench.model import ARRIVALS, USUAL_ARRIVALS, ClosedLoad, Load, Run, Trial

# of images/, and of sets that `bench requests make` draws: small requests first; other classes by their names
CLASS_ORDER = {"small": 0, "seed": 1, "medium": 2, "large": 3}
# which kind of load stands for a run that has several: the one that shows capacity first
KIND_ORDER = ("closed", "held", "open", "common", "share")
RATE_THAT_HELD = "the rate that held"


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """A class of payloads in one encoding under one load: what a trial offered.

    `kind` is "closed", "open", "common" or "share"; `size` is the clients, the requests/s, the share
    of the slowest strategy's capacity, or the share of the strategy's own. "held" is the highest rate at
    which an objective held, which each strategy has for itself; its `size` is 0. `arrivals` is the pattern by
    which requests come due.
    """

    payload_class: str
    encoding: str
    load: str
    kind: str = field(default="closed", compare=False)
    size: float = field(default=0.0, compare=False)
    arrivals: str = field(default=USUAL_ARRIVALS, compare=False)

    @property
    def at_due_times(self) -> bool:
        """Whether requests came due by a schedule, whoever still waited."""
        return self.kind != "closed"

    @property
    def arrivals_place(self) -> int:
        """The place of its arrival pattern in the table, from 0: what comes first stands for a run."""
        return list(ARRIVALS).index(self.arrivals)

    @property
    def same_for_all(self) -> bool:
        """Whether every strategy was offered the same; under a share of capacity each has its own rate."""
        return self.kind not in ("share", "held")

    @property
    def by_capacity(self) -> bool:
        """Whether its rate follows from what was measured, and is in the trials alone."""
        return self.kind in ("common", "share", "held")


def case_of(trial: Trial) -> Case:
    """The case that a trial belongs to."""
    kind, size = load_size(trial.load)
    arrivals = USUAL_ARRIVALS if isinstance(trial.load, ClosedLoad) else trial.load.arrivals
    return Case(trial.payload_class, trial.encoding, trial.load.label, kind, size, arrivals)


def case_in(run: Run, trial: Trial) -> Case:
    """The case that a trial of the run belongs to: in a search, trials of the rate that held are a case."""
    case = case_of(trial)
    wanted = trial.strategy, trial.payload_class, trial.encoding, case.size
    if is_search(run) and case.kind == "open":
        held = [(one.strategy, one.payload_class, one.encoding, one.rate_per_s) for one in run.objectives]
        if wanted in held:
            return replace(case, load=RATE_THAT_HELD, kind="held", size=0.0)
    return case


def is_search(run: Run) -> bool:
    """Whether the run is a search for an objective, whose trials are tries and were not planned."""
    asked = run.options is not None and run.options.verb == "slo"
    return asked or (run.planned_trials == 0 and bool(run.objectives))


def case_name(case: Case) -> str:
    """The whole case in words, whatever else its run had: `small, json, 50 clients`."""
    return f"{case.payload_class}, {case.encoding}, {case.load}"


def load_size(load: Load) -> tuple[str, float]:
    """The kind of a load, and its clients, its share of capacity, or its requests/s."""
    if isinstance(load, ClosedLoad):
        return "closed", float(load.clients)
    if load.share is not None:
        return "common" if load.of_slowest else "share", load.share
    return "open", load.rate_per_s


def case_key(case: Case) -> tuple[object, ...]:
    """The order in which cases are shown: by payloads, then by kind and size of the load."""
    place = CLASS_ORDER.get(case.payload_class, len(CLASS_ORDER))
    kind = KIND_ORDER.index(case.kind)
    return place, case.payload_class, case.encoding, kind, case.size, case.arrivals_place, case
