"""gate.toml: how the gate measures, and which changes it allows. A mistake in it is a line with a remedy."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from bench.errors import UsageError
from bench.gate.limit_metrics import LIMITS, primary_metrics
from bench.run_file.json_text import file_bytes

BYTES = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in the metric's own unit, or a share of base if `relative`, and how it was written."""

    value: float
    relative: bool
    written: str


def share(value: Any) -> float | None:
    """The share that a percentage such as "5%" is; None if the text is not a percentage."""
    found = re.fullmatch(rf"{NUMBER}\s*%", value.strip()) if isinstance(value, str) else None
    return float(found.group(1)) / 100 if found else None


def amount(value: Any, unit: str, *, relative: bool) -> Amount | None:
    """An amount of bytes, a count or a share, at least 0; None if the value is neither.

    If `relative`, a percentage is a share of base.
    """
    if value == 0 and type(value) is int:
        return Amount(0.0, False, "0")
    part = share(value)
    if part is not None and (relative or unit == "share"):
        return Amount(part, relative, str(value)) if relative or part <= 1 else None
    if unit == "count":
        return Amount(float(value), False, str(value)) if type(value) is int and value > 0 else None
    return _bytes(value) if unit == "bytes" else None


def _bytes(value: Any) -> Amount | None:
    units = "|".join(BYTES)
    found = re.fullmatch(rf"{NUMBER}\s*({units})", value.strip()) if isinstance(value, str) else None
    return Amount(float(found.group(1)) * BYTES[found.group(2)], False, value) if found else None


FILE_NAME = "gate.toml"
SECTIONS = ("run", "primary", "limit")
LEAST_ROUNDS, MOST_ROUNDS = 3, 1000


@dataclass(frozen=True, slots=True)
class GateRun:
    """How the gate measures: rounds of fresh containers, closed loops of `concurrency` clients, seconds.

    Without `payloads` the request set says which classes are sent. `long_s` is the length of a long trial of
    each side after the rounds, 0 for none.
    """

    rounds: int = 6
    window_s: float = 4.0
    warmup_s: float = 1.5
    concurrency: int = 25
    payloads: tuple[str, ...] = ()
    encoding: str = "json"
    long_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Primary:
    """The one metric by which a strategy is judged; `tolerance` is the allowed change (0.05: 5%)."""

    strategy: str
    metric: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound of a figure that does not vary by chance; without a strategy it is the general one.

    `kind` is "most", a bound of head's figure, or "increase", one of what head has over base.
    """

    metric: str
    strategy: str | None
    kind: Literal["most", "increase"]
    amount: Amount


@dataclass(frozen=True, slots=True)
class Rules:
    """What gate.toml says."""

    run: GateRun
    primaries: tuple[Primary, ...]
    limits: tuple[Limit, ...]

    @property
    def strategies(self) -> tuple[str, ...]:
        """Every strategy that a rule names, in the file's order."""
        named = [*(rule.strategy for rule in self.primaries), *(rule.strategy for rule in self.limits)]
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def limits_for(self, strategy: str) -> tuple[Limit, ...]:
        """The limits of a strategy: its own, and the general ones of whose metric and kind it has none."""
        own = {(rule.metric, rule.kind) for rule in self.limits if rule.strategy == strategy}
        return tuple(
            replace(rule, strategy=strategy)
            for rule in self.limits
            if rule.strategy == strategy or (rule.strategy is None and (rule.metric, rule.kind) not in own)
        )

    def only(self, strategies: Iterable[str]) -> "Rules":
        """The rules for these strategies alone."""
        kept = tuple(dict.fromkeys(strategies))
        return replace(
            self,
            primaries=tuple(rule for rule in self.primaries if rule.strategy in kept),
            limits=tuple(rule for name in kept for rule in self.limits_for(name)),
        )

    def deterministic(self) -> "Rules":
        """The rules that need no quiet machine: limits alone."""
        return replace(self, primaries=())


def read_rules(path: Path) -> Rules:
    """Read gate.toml; raises UsageError, which names the stanza and the remedy, for every mistake."""
    try:
        raw = tomllib.loads(file_bytes(path).decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no {path.name} here: write one as docs/gate.md says") from None
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read ({error.strerror}): name a file with --rules") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name} is not TOML: {error}: mend that place") from None
    return rules_of(raw, path.name)


def rules_of(raw: Mapping[str, Any], name: str = FILE_NAME) -> Rules:
    """The rules of a parsed file; raises UsageError for every mistake."""
    _known_keys(f"{name}:", raw, SECTIONS)
    primaries = tuple(_primary(*stanza) for stanza in _stanzas(name, raw, "primary"))
    limits = tuple(_limit(*stanza) for stanza in _stanzas(name, raw, "limit"))
    if not primaries and not limits:
        raise UsageError(f"{name} has no rule: add a [[primary]] or a [[limit]] stanza, as docs/gate.md says")
    _no_second(f"{name}: [[primary]]", [rule.strategy for rule in primaries], "keep one metric a strategy")
    keys = [f"{rule.metric} ({rule.strategy or 'all'}, {rule.kind})" for rule in limits]
    _no_second(f"{name}: [[limit]]", keys, "keep one of them")
    return Rules(_run(f"{name}: [run]", raw.get("run", {})), primaries, limits)


def check_strategies(rules: Rules, known: Iterable[str], name: str = FILE_NAME) -> None:
    """Raise UsageError if a rule is for a strategy that is not known."""
    there = tuple(known)
    for section, named in (
        ("primary", [rule.strategy for rule in rules.primaries]),
        ("limit", [rule.strategy for rule in rules.limits]),
    ):
        for strategy in named:
            if strategy is not None and strategy not in there:
                raise UsageError(
                    f'{name}: [[{section}]] is for the unknown strategy "{strategy}": '
                    f"name one of {', '.join(sorted(there)) or 'compose.yaml, which has none'}"
                )


def _stanzas(name: str, raw: Mapping[str, Any], section: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Each stanza of a section after its place, as a message names it."""
    found = raw.get(section, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageError(f"{name}: {section} is not a list of stanzas: head each with [[{section}]]")
    return [(f"{name}: [[{section}]] number {place}", one) for place, one in enumerate(found, 1)]


def _primary(place: str, raw: Mapping[str, Any]) -> Primary:
    _known_keys(place, raw, ("strategy", "metric", "tolerance"))
    strategy = _name(place, raw, "strategy")
    metric = _metric(place, raw, primary_metrics(), LIMITS, "[[limit]]")
    if "tolerance" not in raw:
        raise UsageError(f'{place} has no tolerance: add one, such as tolerance = "5%"')
    tolerance = share(raw["tolerance"])
    # an equal head must be able to pass, and a head that answers nothing must not
    if tolerance is None or not 0 < tolerance < 1:
        raise UsageError(
            f"{place}: tolerance = {_shown(raw['tolerance'])} is not a percentage above 0% and below 100%: "
            'write it as "5%"'
        )
    return Primary(strategy, metric, tolerance)


def _limit(place: str, raw: Mapping[str, Any]) -> Limit:
    _known_keys(place, raw, ("strategy", "metric", "most", "increase"))
    strategy = _name(place, raw, "strategy") if "strategy" in raw else None
    metric = LIMITS[_metric(place, raw, LIMITS, primary_metrics(), "[[primary]]")]
    given: list[Literal["most", "increase"]] = [key for key in ("most", "increase") if key in raw]
    if len(given) != 1:
        raise UsageError(f"{place} needs one bound: write most = ..., or increase = ... over base")
    kind = given[0]
    if kind == "increase" and not metric.increases:
        raise UsageError(f"{place}: {metric.name} takes no increase: bound it with most = ...")
    found = amount(raw[kind], metric.unit, relative=kind == "increase")
    if found is None:
        example = {"bytes": '"2 MB"', "count": "0", "share": '"0%"'}[metric.unit]
        raise UsageError(
            f"{place}: {kind} = {_shown(raw[kind])} does not bound {metric.name}: write {kind} = {example}"
            + (' or "1%"' if kind == "increase" else "")
        )
    return Limit(metric.name, strategy, kind, found)


def _run(place: str, raw: Any) -> GateRun:
    if not isinstance(raw, dict):
        raise UsageError(f"{place} is not a table: head it with [run]")
    usual = GateRun()
    _known_keys(place, raw, [field.name for field in fields(GateRun)])
    payloads = raw.get("payloads", [])
    named = isinstance(payloads, list) and (payloads or "payloads" not in raw)
    if not named or not all(map(_is_name, payloads)):
        raise UsageError(f'{place}: payloads = {_shown(payloads)} names no classes: write ["small"]')
    return GateRun(
        rounds=_whole(place, raw, "rounds", usual.rounds, LEAST_ROUNDS, MOST_ROUNDS),
        window_s=_seconds(place, raw, "window_s", usual.window_s),
        warmup_s=_seconds(place, raw, "warmup_s", usual.warmup_s),
        concurrency=_whole(place, raw, "concurrency", usual.concurrency, 1, 10_000),
        payloads=tuple(dict.fromkeys(payloads)),
        encoding=_name(place, {"encoding": usual.encoding, **raw}, "encoding"),
        long_s=0.0 if raw.get("long_s") == 0 else _seconds(place, raw, "long_s", usual.long_s),
    )


def _whole(place: str, raw: Mapping[str, Any], key: str, usual: int, least: int, most: int) -> int:
    value = raw.get(key, usual)
    if type(value) is not int or not least <= value <= most:
        raise UsageError(f"{place}: {key} = {_shown(value)} is not a whole number from {least} to {most}")
    return value


def _seconds(place: str, raw: Mapping[str, Any], key: str, usual: float) -> float:
    value = raw.get(key, usual)
    if type(value) not in (int, float) or not 0 < value <= 3600:
        raise UsageError(
            f"{place}: {key} = {_shown(value)} is not a number of seconds above 0 and up to 3600"
        )
    return float(value)


def _metric(
    place: str, raw: Mapping[str, Any], ours: Iterable[str], others: Iterable[str], where: str
) -> str:
    metric = _name(place, raw, "metric")
    if metric in others:
        raise UsageError(f'{place}: "{metric}" belongs into a {where} stanza: move it there')
    if metric not in ours:
        raise UsageError(f'{place}: unknown metric "{metric}": write one of {", ".join(ours)}')
    return metric


def _name(place: str, raw: Mapping[str, Any], key: str) -> str:
    if key not in raw:
        raise UsageError(f"{place} has no {key}: add {key} = ...")
    value = raw[key]
    if not _is_name(value):
        raise UsageError(f'{place}: {key} = {_shown(value)} is not a name: write it as "..."')
    return str(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _known_keys(place: str, raw: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in raw:
        if key not in known:
            raise UsageError(f'{place} unknown key "{key}": write one of {", ".join(known)}')


def _no_second(place: str, keys: list[str], remedy: str) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{place}: {keys.count(key)} stanzas for {key}: {remedy}")


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
