"""PyTorch as batched_serving/cuda.py sees it, with a CUDA that is none: the processor computes, and at once.

Streams and events are only counted, since their order is what tests/batched_serving/fake_device.py is for.
Graphs are honest: a replay does again what was captured, on the same tensors, and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class PretendedStream:
    """A stream whose work is done as soon as it is given."""

    def __init__(self, _device: object) -> None:
        pass

    def synchronize(self) -> None:
        """Return at once."""

    def wait_event(self, _event: object) -> None:
        """Return at once."""


class PretendedEvent:
    """An event that is always past."""

    def __init__(self, blocking: bool = False) -> None:
        self.blocking = blocking

    def record(self, _stream: object) -> None:
        """Return at once."""

    def synchronize(self) -> None:
        """Return at once."""


class PretendedGraph(TorchDispatchMode):
    """Notes each operation while it is the mode, and can do them all again."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []
        self.replays = 0

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self._operations.append((func, args, kwargs or {}, made))
        return made

    def replay(self) -> None:
        """Do it again, each result into the memory that it had when captured."""
        self.replays += 1
        for func, args, kwargs, made in self._operations:
            again = func(*args, **kwargs)
            if isinstance(made, Tensor) and again.data_ptr() != made.data_ptr():
                made.copy_(again)


class PretendedTorch:
    """torch, but for what needs a GPU: `graphs` are those captured, the second of them raises `fails`."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.graphs: list[PretendedGraph] = []
        self.fraction: float | None = None
        self.fails = fails
        self.cuda = SimpleNamespace(
            OutOfMemoryError=torch.cuda.OutOfMemoryError,
            Stream=PretendedStream,
            Event=PretendedEvent,
            CUDAGraph=PretendedGraph,
            graph=self._graph,
            graph_pool_handle=lambda: (0, 1),
            stream=lambda _: nullcontext(),
            current_stream=PretendedStream,
            current_device=lambda: 0,
            set_per_process_memory_fraction=self._set_fraction,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def device(self, *_: object) -> torch.device:
        """The processor."""
        return torch.device("cpu")

    def zeros(self, *args: Any, pin_memory: bool = False, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Ordinary memory."""
        return torch.zeros(*args, **kwargs)

    def _set_fraction(self, fraction: float, _device: object) -> None:
        self.fraction = fraction

    @contextmanager
    def _graph(self, graph: PretendedGraph, pool: object, stream: object) -> Iterator[None]:
        assert pool == (0, 1)
        assert isinstance(stream, PretendedStream)
        self.graphs.append(graph)
        if self.fails is not None and len(self.graphs) == 2:
            raise self.fails
        with graph:
            yield
