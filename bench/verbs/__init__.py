"""The verbs of the command line, a file each.

A verb's file has three functions: `declare` adds its arguments to a parser, `read` makes one options value of
what was parsed, and `do` does what the options say and returns the exit code. Files of verbs import what is
heavy inside functions, so that --help stays quick.
"""

# name -> the module with the three functions, and the verb's line in --help
VERBS: dict[str, tuple[str, str]] = {
    "run": ("bench.verbs.run", "measure the strategies of compose.yaml and write a report"),
    "plan": ("bench.verbs.plan", "say what run, slo, aa or gate would do, and how long it takes"),
    "slo": ("bench.verbs.slo", "find the highest rate at which each strategy holds an objective"),
    "aa": (
        "bench.verbs.aa",
        "compare each strategy with itself: what this machine can and cannot tell apart",
    ),
    "gate": ("bench.verbs.gate", "judge this commit by gate.toml against another one, or a stored run"),
    "requests": ("bench.verbs.requests", "make a request set, or record what must come back"),
    "compare": ("bench.verbs.compare", "compare two runs that were made apart"),
    "report": ("bench.verbs.report", "rewrite the report, page and plots of a run's folder"),
    "index": ("bench.verbs.index", "write a page over all runs of a folder, with each strategy's trend"),
    "licences": (
        "bench.verbs.licences",
        "list the packages that each image carries, with the licences that they state",
    ),
    "ceiling": (
        "bench.verbs.ceiling",
        "what the driver itself can do, against a target that answers at once",
    ),
    "doctor": ("bench.verbs.doctor", "say what will spoil a measurement on this machine, and the remedy"),
    "init": ("bench.verbs.init", "write a project that compares ways of serving a model of yours"),
    "worker": ("bench.verbs.worker", "drive load from this host for a run on another one, until Ctrl-C"),
}
