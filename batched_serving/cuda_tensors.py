"""A network of tensors on a GPU: each batch is copied there, computed and copied back, in turn."""

from functools import cache

import torch
from torch import nn

from batched_serving.batch_sizes import doubling_sizes, saturating_size, time_sizes
from batched_serving.cuda import own_device, refusal
from modelkit.modules import OF_INPUTS, in_order
from serving_core.drawn import most_at_once
from serving_core.engine import Batching, Compute, uncomputable
from serving_core.network import Arrays, Network

# Two sizes count as equal if their times per item differ by less than this share.
TOLERANCE = 0.05
TIMING_BUDGET_S = 2.0


class CudaTensorBackend:
    """Computes in the network's own precision: nothing tells what half would change for any network."""

    def __init__(self, module: nn.Module, network: Network, compute: Compute) -> None:
        self._compute = compute
        self._most = compute.max_batch if network.batch == "any" else 1
        try:
            self._device = own_device(compute)
            self._module = module.to(self._device)
        except RuntimeError as error:
            raise refusal(error, compute) from error

    def warm(self, example: Arrays) -> Batching:
        """Time batches of several sizes, and return the size beyond which an item costs no less.

        Batches of large items are kept to some memory.
        """
        batch = cache(lambda size: [array.repeat(size, axis=0) for array in example])
        try:
            most = most_at_once(self._most, example, self.predict(example))
            times = time_sizes(lambda size: self.predict(batch(size)), doubling_sizes(most), TIMING_BUDGET_S)
        except RuntimeError as error:
            raise refusal(error, self._compute) from error
        return Batching(size=saturating_size(times, TOLERANCE), in_flight=1, own_device=True)

    def predict(self, inputs: Arrays) -> Arrays:
        """Return the network's outputs in order."""
        with torch.inference_mode():
            tensors = [torch.from_numpy(array).to(self._device) for array in inputs]
            try:
                return [tensor.cpu().numpy() for tensor in in_order(self._module(*tensors))]
            except OF_INPUTS as error:
                raise uncomputable(error) from error
