"""Dynamic batching as a library: it knows nothing about HTTP, tensors or devices, and needs only Python.

    async with Batcher(run, Policy(max_batch=16)) as batcher:
        result = await batcher.submit(item, due_s=monotonic() + 0.5)

`run` takes a list of items and returns one result for each, in order. docs/batching.md explains the policy.
"""

from batched_serving.batching.batcher import (
    Batcher,
    Died,
    Draining,
    Expired,
    Full,
    Late,
    Policy,
    Refused,
    Unwanted,
)
from batched_serving.batching.queue import ItemGroup
from batched_serving.batching.timing import Clock, LoopClock, ServiceTime

__all__ = [
    "Batcher",
    "Clock",
    "Died",
    "Draining",
    "Expired",
    "Full",
    "ItemGroup",
    "Late",
    "LoopClock",
    "Policy",
    "Refused",
    "ServiceTime",
    "Unwanted",
]
