"""Where a strategy keeps the model that it pulls, as its label bench.cache says."""

from bench.measure.instance import StartError
from bench.measure.registry import Registry
from bench.model import Strategy


def cache_of(registry: Registry, strategy: Strategy) -> str:
    """The container's folder for pulled models; raises StartError where the label is missing."""
    cache = registry.services[strategy.service].cache
    if cache is None:
        raise StartError(
            f"{strategy.name} cannot be started upon a filled model cache: say where it has its own with the "
            "label bench.cache"
        )
    return cache


def empty_cache(cache: str) -> str:
    """What to say where a start left nothing in its cache."""
    return f"a start left nothing in {cache}: name the folder that it pulls to in its label bench.cache"
