"""What the Docker engine tells of itself, as far as figures depend on it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bench.cores import Cores


def engine_cores(cores: Cores, count: int | None) -> Cores | None:
    """The cores with the engine's last for the service where it has too few, None where it has enough."""
    if not count or max(cores.service) < count:
        return None
    return dataclasses.replace(cores, service=(count - 1,))


def engine_facts(info: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's part of the environment fingerprint, from its answer to `info`."""
    return {
        "engine_version": info.get("ServerVersion"),
        "storage_driver": info.get("Driver"),
        "image_store": image_store(info),
        "container_runtime": info.get("DefaultRuntime"),
        "engine_os": info.get("OperatingSystem"),
        "engine_kernel": info.get("KernelVersion"),
        "cgroup_version": info.get("CgroupVersion"),
    }


def image_store(info: Mapping[str, Any]) -> str:
    """Whether containerd keeps the images or the engine's own graph driver: sizes and digests differ."""
    details = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2)
    return "containerd" if "snapshotter" in str(details.get("driver-type")) else "graph driver"
