"""The network on a GPU: pixels are copied as uint8, and one batch is copied while another is computed."""

import logging
import warnings
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from batched_serving.batch_sizes import doubling_sizes
from batched_serving.network import Normalise, judge, probe_pictures
from batched_serving.pinned_buffers import Staged
from serving_core.engine import Batching, Compute, Logits, Pixels
from serving_core.errors import StartError
from serving_core.models.manifest import ServedTransform
from serving_core.network import PROBABILITIES, Arrays, Network

IN_FLIGHT = 2
# A graph may be captured only of what has chosen its kernels and has its workspaces.
RUNS_BEFORE_CAPTURE = 3

log = logging.getLogger("batched_serving.cuda")


class CudaSlot:
    """One batch's buffers: pinned host memory, which the device can read and write, and device memory."""

    def __init__(self, size: int, crop: int, classes: int, device: torch.device) -> None:
        shape = (size, crop, crop, 3)
        self.pixels_here = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self.pixels_there = torch.zeros(shape, dtype=torch.uint8, device=device)
        self.logits_here = torch.zeros((size, classes), dtype=torch.float32, pin_memory=True)
        self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # as all of torch.cuda's streams
        # A thread that waits for a batch sleeps: other threads need the core to decode.
        self.done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]


class CudaStaging:
    """Runs a batch's steps on two streams; the graph of one bucket is computed at a time.

    All graphs read the same input buffer and write the same output buffer. Both lie outside the memory that
    the graphs share, because each graph overwrites the contents that another graph left there. If the batch
    is smaller than the bucket, the other images are old contents of the buffer: in eval mode an image's
    answer does not depend on other images, and the answers to those images are never read.
    """

    def __init__(
        self, network: nn.Module, normalise: Normalise, slot: CudaSlot, device: torch.device
    ) -> None:
        self.copy_stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.compute_stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._network = network
        self._dtype = dtype_of(network)
        self._normalise = normalise
        self._pixels = torch.zeros_like(slot.pixels_there)
        self._logits = torch.zeros_like(slot.logits_here, device=device)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        # The buffers were filled on another stream.
        torch.cuda.current_stream(device).synchronize()

    def capture(self, buckets: tuple[int, ...]) -> None:
        """Compile the kernels and capture each bucket's graph; if that fails, warn and use no graphs."""
        with torch.inference_mode(), torch.cuda.stream(self.compute_stream):
            for bucket in buckets:
                for _ in range(RUNS_BEFORE_CAPTURE):
                    self._forward(bucket)
            self.compute_stream.synchronize()
            pool = torch.cuda.graph_pool_handle()
            try:
                # The largest first: the smaller graphs then fit into the memory that all share.
                for bucket in reversed(buckets):
                    self._graphs[bucket] = self._captured(bucket, pool)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._graphs.clear()
                log.warning(
                    "no CUDA graph could be captured: each kernel is launched separately, which is slower",
                    extra={"bucket": bucket, "cause": " ".join(str(error).split())[:200]},
                )

    def _captured(self, bucket: int, pool: Any) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=self.compute_stream):
            self._forward(bucket)
        return graph

    def _forward(self, bucket: int) -> None:
        pixels = self._normalise(self._pixels[:bucket]).to(self._dtype)
        self._logits[:bucket].copy_(self._network(pixels))

    def fill(self, slot: CudaSlot, pixels: Pixels) -> None:
        """Copy the pixels into pinned memory."""
        np.copyto(slot.pixels_here.numpy()[: len(pixels)], pixels)

    def copy_in(self, slot: CudaSlot, count: int) -> None:
        """On the copy stream: copy the uint8 pixels to the device."""
        with torch.cuda.stream(self.copy_stream):
            slot.pixels_there[:count].copy_(slot.pixels_here[:count], non_blocking=True)

    def compute(self, slot: CudaSlot, count: int, bucket: int) -> None:
        """On the compute stream: normalise and compute a bucket of images."""
        with torch.inference_mode(), torch.cuda.stream(self.compute_stream):
            self._pixels[:count].copy_(slot.pixels_there[:count])
            graph = self._graphs.get(bucket)
            if graph is None:
                self._forward(bucket)
            else:
                graph.replay()

    def copy_out(self, slot: CudaSlot, count: int) -> None:
        """On the compute stream: copy the logits to pinned memory, before another batch overwrites them."""
        with torch.cuda.stream(self.compute_stream):
            slot.logits_here[:count].copy_(self._logits[:count], non_blocking=True)

    def read(self, slot: CudaSlot, count: int) -> Logits:
        """Return a copy of the logits."""
        logits: Logits = slot.logits_here[:count].numpy().copy()
        return logits


class CudaBackend:
    """Keeps two batches in flight; computes in half precision if the answers stay the same."""

    def __init__(
        self, module: nn.Module, network: Network, transform: ServedTransform, compute: Compute
    ) -> None:
        self._crop = transform.crop
        (self._classes,) = network.outputs[0].shape
        self._gives_probabilities = network.outputs[0].name == PROBABILITIES
        self._tolerance = network.tolerance
        self._compute = compute
        self._buckets = doubling_sizes(compute.max_batch)
        try:
            self._device = own_device(compute)
            self._network: nn.Module = module.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know no module with a memory format and a device
            self._normalise = Normalise(transform, self._device)
        except RuntimeError as error:
            raise refusal(error, compute) from error

    def warm(self, example: Arrays) -> Batching:
        """Choose the precision, capture each bucket's graph, and compute each size in both slots."""
        del example  # the precision is judged by many pictures
        try:
            self._make_ready()
        except RuntimeError as error:
            raise refusal(error, self._compute) from error
        return Batching(size=self._buckets[-1], in_flight=IN_FLIGHT, own_device=True)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return float32 logits [n, classes] of uint8 crops [n, crop, crop, 3]."""
        return [self._staged.predict(inputs[0])]

    def _make_ready(self) -> None:
        crop, classes = self._crop, self._classes
        self._buckets = self._taken()
        network = self._chosen(probe_pictures(crop))
        slots = [CudaSlot(self._buckets[-1], crop, classes, self._device) for _ in range(IN_FLIGHT)]
        staging = CudaStaging(network, self._normalise, slots[0], self._device)
        staging.capture(self._buckets)
        self._staged = Staged(staging, slots, self._buckets)
        del self._network  # the network in single precision may not be needed any more
        for bucket in self._buckets:
            for _ in slots:
                self.predict([np.zeros((bucket, crop, crop, 3), np.uint8)])

    def _taken(self) -> tuple[int, ...]:
        """Return the buckets that the network computes: a program may have a largest batch.

        Raises StartError if it computes no picture of the manifest's crop.
        """
        taken: list[int] = []
        for bucket in self._buckets:
            try:
                self._logits(self._network, np.zeros((bucket, self._crop, self._crop, 3), np.uint8))
            except ValueError as error:  # a program's rules for the sizes of its inputs
                if taken:
                    break
                cause = " ".join(str(error).split())[:200]
                raise StartError(
                    f"the model computes no image of crop {self._crop} ({cause}): "
                    "publish the model and its manifest again"
                ) from None
            taken.append(bucket)
        return tuple(taken)

    def _chosen(self, pictures: Pixels) -> nn.Module:
        """Return the network in half precision, or in single precision if half changes the answers."""
        with warnings.catch_warnings():
            # PyTorch copies a program by what it deprecates itself
            warnings.simplefilter("ignore", FutureWarning)
            halved: nn.Module = deepcopy(self._network).half()
        exact = self._in_batches(self._network, pictures)
        if exact.shape[1:] != (self._classes,):
            raise StartError(
                f"the model gives {list(exact.shape[1:])} scores of an image, "
                f"its manifest says {self._classes}: publish the model and its manifest again"
            )
        try:
            approximate = self._in_batches(halved, pictures)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:  # a program may have single precision written into it
            cause = " ".join(str(error).split())[:200]
            log.info("precision", extra={"precision": "single", "cause": cause})
            return self._network
        verdict = judge(exact, approximate, self._tolerance, probabilities=self._gives_probabilities)
        precision = "half" if verdict.holds else "single"
        log.info(
            "precision",
            extra={
                "precision": precision,
                "largest_difference": verdict.largest_difference,
                "allowed_difference": verdict.allowed,
                "same_class": verdict.same_class,
            },
        )
        return halved if verdict.holds else self._network

    def _in_batches(self, network: nn.Module, pictures: Pixels) -> Logits:
        most = self._buckets[-1]
        parts = [pictures[begin : begin + most] for begin in range(0, len(pictures), most)]
        return np.concatenate([self._logits(network, part) for part in parts])

    def _logits(self, network: nn.Module, pictures: Pixels) -> Logits:
        dtype = dtype_of(network)
        with torch.inference_mode():
            pixels: Tensor = self._normalise(torch.from_numpy(pictures).to(self._device)).to(dtype)
            logits: Logits = network(pixels).float().cpu().numpy()
        return logits


def dtype_of(network: nn.Module) -> torch.dtype:
    """Return the datatype of a network's numbers: single precision if it has none, as a program may."""
    numbers = chain(network.parameters(), network.buffers())
    return next((value.dtype for value in numbers if value.is_floating_point()), torch.float32)


def own_device(compute: Compute) -> torch.device:
    """Return the GPU, with its memory limited and its arithmetic exact; raises RuntimeError."""
    # The outputs must agree with the reference's; with TF32 they would not.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cuda", torch.cuda.current_device())
    torch.cuda.set_per_process_memory_fraction(compute.device_share, device)
    return device


def refusal(error: Exception, compute: Compute) -> StartError:
    """Return why the GPU cannot compute the model, in one line."""
    cause = " ".join(str(error).split())[:200]
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return StartError(
            f"the GPU has too little memory for MAX_BATCH={compute.max_batch} ({cause}): "
            "lower MAX_BATCH, or raise DEVICE_MEMORY_SHARE"
        )
    return StartError(f"the GPU cannot be used ({cause}): correct that, or set DEVICE=cpu")
