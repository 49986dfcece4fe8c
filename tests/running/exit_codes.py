"""The exit code that a run calls for: a busy machine may spoil windows as short as a test's."""

from typing import Any


def code_of(found: dict[str, Any]) -> int:
    """0 if everything that was asked for has a valid trial, else 4; `found` is a run.json."""
    if found["objectives"]:
        whole = all(one["known"] for one in found["objectives"])
        return 0 if whole and any(trial["valid"] for trial in found["trials"]) else 4
    measured: dict[tuple[object, ...], bool] = {}
    for trial in found["trials"]:
        load = trial["load"]
        offered = load.get("share") or load.get("clients") or load.get("rate_per_s")
        case = (trial["strategy"], trial["payload_class"], trial["encoding"], load["kind"], offered)
        measured[case] = measured.get(case, False) or trial["valid"] or (found["quick"] and by_host(trial))
    believed = any(trial["valid"] for trial in found["trials"])
    return 0 if believed and all(measured.values()) else 4


def by_host(trial: dict[str, Any]) -> bool:
    """Whether nothing but other work on the host spoiled the trial."""
    causes = {one["cause"] for one in trial["doubts"] if one["voids"]}
    return trial["error"] is None and causes == {"host"}
