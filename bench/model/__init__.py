"""The values of a benchmark: what is measured, how load is offered, and what came of it.

Units are in the names. A figure that could not be measured is None, never 0.
"""

from bench.model.images import (
    Directory,
    ImageSize,
    Layer,
)
from bench.model.loads import (
    Arrivals,
    ClosedLoad,
    Load,
    OpenLoad,
    PlannedLoad,
    ShareLoad,
    open_label,
)
from bench.model.runs import (
    NOT_KNOWN,
    READABLE_VERSIONS,
    REPEAT_ALLOWED,
    SCHEMA_VERSION,
    Capacity,
    Ceiling,
    LoopResult,
    Probe,
    RepeatCheck,
    Run,
    SloResult,
    Startup,
    StrategyResult,
)
from bench.model.subjects import (
    AGAIN,
    BASE,
    OUTCOMES,
    Device,
    Outcome,
    Payload,
    Strategy,
)
from bench.model.trials import (
    BatchFigures,
    DriverFigures,
    GpuFigures,
    LatencyMs,
    ResourceFigures,
    ServerFigures,
    StageFigures,
    Trial,
)

__all__ = [
    "AGAIN",
    "BASE",
    "NOT_KNOWN",
    "OUTCOMES",
    "READABLE_VERSIONS",
    "REPEAT_ALLOWED",
    "SCHEMA_VERSION",
    "Arrivals",
    "BatchFigures",
    "Capacity",
    "Ceiling",
    "ClosedLoad",
    "Device",
    "Directory",
    "DriverFigures",
    "GpuFigures",
    "ImageSize",
    "LatencyMs",
    "Layer",
    "Load",
    "LoopResult",
    "OpenLoad",
    "Outcome",
    "Payload",
    "PlannedLoad",
    "Probe",
    "RepeatCheck",
    "ResourceFigures",
    "Run",
    "ServerFigures",
    "ShareLoad",
    "SloResult",
    "StageFigures",
    "Startup",
    "Strategy",
    "StrategyResult",
    "Trial",
    "open_label",
]
