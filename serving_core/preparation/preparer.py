"""Who prepares images; this file imports nothing heavy, because settings are read first of all."""

from typing import Literal

# the engine's own graph, with what that needs before it; or else who makes normalised crops
Preparer = Literal["graph", "pillow", "simd", "native", "scaled"]
