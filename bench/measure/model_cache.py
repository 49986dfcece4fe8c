"""Where a strategy keeps the model that it pulls, as its label bench.cache says."""

from bench.measure.instance import StartError
from bench.measure.registry import Registry, Service
from bench.model import Strategy


def folder_of(service: Service) -> str | None:
    """The folder in the service's container, None where no label names it."""
    cache: str | None = getattr(service, "cache", None)
    return cache


def cache_of(registry: Registry, strategy: Strategy) -> str:
    """The container's folder for pulled models; raises StartError where the label is missing."""
    cache = folder_of(registry.services[strategy.service])
    if cache is None:
        raise StartError(
            f"{strategy.name} cannot be started upon a filled model cache: say where it has its own with the "
            "label bench.cache"
        )
    return cache


def empty_cache(cache: str) -> str:
    """What to say where a start left nothing in its cache."""
    return f"a start left nothing in {cache}: name the folder that it pulls to in its label bench.cache"
