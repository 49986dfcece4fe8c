"""Example inputs: drawn from a seed to suit a model's inputs, or the user's own from a .npz file."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelkit import ModelkitError
from modelkit.forms import ComputationError, Form
from modelkit.signature import BYTES, DATATYPES, Port, Tensors
from modelkit.sizes import evaluate, names_in

# sizes tried for axes that vary: short texts, and images that a network of many strides still takes
_SIZES = (7, 12, 3, 32, 64, 224)
_ENOUGH = 3
# the most numbers of an example: of the first, and of those with other sizes
_MOST_NUMBERS = 2**26
_MORE_NUMBERS = 2**24
_UNKNOWN_BOUND = 2
_WORDS = ("a", "model", "of", "text", "and", "numbers", "")


@dataclass(frozen=True, slots=True)
class Drawing:
    """How inputs are drawn from a seed: floats from a normal distribution, integers from 0 up to a bound.

    `bounds` maps an input's name to the number of values that its integers may have, the vocabulary's size
    for token ids. An input without a bound has zeros and ones, first of all a one, since a mask of zeros
    alone hides everything. `limits` maps the name of a varying size to its least and greatest value.
    A size that is written as arithmetic of names, as 2*s40 is, follows from these.
    """

    inputs: tuple[Port, ...]
    seed: int
    bounds: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def draw(self, size: int, fixed: Mapping[str, int], turn: int = 0) -> list[NDArray[Any]]:
        """Return a value for each input.

        A varying size is as `fixed` says, or `size`; if that is too small, as much above the least.
        """
        rng = np.random.default_rng((self.seed, size, turn))
        return [self._value(port, self._shape(port, size, fixed), rng) for port in self.inputs]

    def numbers(self, size: int, fixed: Mapping[str, int]) -> int:
        """Return how many numbers an example has."""
        return sum(prod(self._shape(port, size, fixed)) for port in self.inputs)

    def _shape(self, port: Port, size: int, fixed: Mapping[str, int]) -> list[int]:
        def size_of(name: str) -> int:
            least, most = self.limits.get(name, (1, size))
            return fixed[name] if name in fixed else min(size if size >= least else least - 1 + size, most)

        def length(dim: str) -> int:
            # a size that follows from another that is fixed is not free to be fixed too
            follows = names_in(dim) - {dim} & fixed.keys()
            return fixed[dim] if dim in fixed and not follows else evaluate(dim, size_of)

        return [dim if isinstance(dim, int) else length(dim) for dim in port.dims or ()]

    def _value(self, port: Port, shape: list[int], rng: np.random.Generator) -> NDArray[Any]:
        if port.datatype == BYTES:
            return rng.choice(np.asarray(_WORDS, object), shape)
        dtype = DATATYPES[port.datatype]
        if dtype.kind == "f":
            return np.asarray(rng.standard_normal(shape), dtype)
        if dtype.kind == "b":
            return np.asarray(rng.integers(0, 2, shape), dtype)
        bound = self.bounds.get(port.name)
        most = min(bound or _UNKNOWN_BOUND, int(np.iinfo(dtype).max))
        if port.datatype == "UINT8" and bound is None:
            most = 256
        values = np.asarray(rng.integers(0, most, shape), dtype)
        # a mask of zeros alone would leave nothing; where an item has one place, items would be all alike
        if bound is None and values.ndim and values.shape[-1] > 1:
            values[..., :1] = 1
        return values


def usable_sizes(form: Form, drawing: Drawing, fixed: Mapping[str, int]) -> list[int]:
    """Return the sizes for varying axes that the form accepts, at most three.

    Raises ModelkitError if it accepts none.
    """
    found: list[int] = []
    cause = ""
    for size in _SIZES:
        if (numbers := drawing.numbers(size, fixed)) > (_MORE_NUMBERS if found else _MOST_NUMBERS):
            cause = cause or f"an example has {numbers} numbers, and at most {_MOST_NUMBERS} are drawn"
            continue
        try:
            form.run(drawing.draw(size, fixed))
        except ComputationError as error:
            cause = cause or str(error)
            continue
        found.append(size)
        if len(found) == _ENOUGH:
            break
    if not found:
        raise ModelkitError(
            f"{form.name} fails on drawn examples ({cause}): give examples, --example FILE.npz"
        )
    return found


def read_examples(file: Path, inputs: Sequence[Port]) -> list[NDArray[Any]]:
    """Return the values of a .npz file, an array for each input, in the model's order; nothing is unpickled.

    Raises ModelkitError if the file does not fit the inputs.
    """
    try:
        # opened here, as NumPy leaves a file open that is no archive
        with file.open("rb") as stream:
            given = np.load(stream, allow_pickle=False)
            if not isinstance(given, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name")
            values = {name: np.asarray(given[name]) for name in given.files}
    except FileNotFoundError:
        raise ModelkitError(f"{file} does not exist: make it with numpy.savez") from None
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        problem = f"{file} is not a .npz file of plain arrays ({' '.join(str(error).split())[:120]})"
        raise ModelkitError(f"{problem}: make it with numpy.savez, strings as arrays of dtype str") from None
    if set(values) != {port.name for port in inputs}:
        expected = ", ".join(port.name for port in inputs)
        raise ModelkitError(f"{file} holds {', '.join(values) or 'nothing'}: it needs the arrays {expected}")
    fitting = [_fitting(file, port, values[port.name]) for port in inputs]
    _check_sizes(file, inputs, fitting)
    return fitting


def _check_sizes(file: Path, inputs: Sequence[Port], values: Tensors) -> None:
    """Raise ModelkitError if an array has no element, or if sizes of one name differ."""
    found: dict[str, tuple[str, int]] = {}
    for port, value in zip(inputs, values, strict=True):
        if not value.size:
            problem = f"{file}: {port.name} has shape {list(value.shape)}, which holds no value"
            raise ModelkitError(f"{problem}: give one item at least")
        for name, size in zip(port.dims or (), value.shape, strict=False):
            if not isinstance(name, str):
                continue
            other, known = found.setdefault(name, (port.name, size))
            if size != known:
                problem = (
                    f"{file}: {port.name} has {size} where {other} has {known}, and the model has one size"
                )
                raise ModelkitError(f"{problem}, {name}: make them equal")


def _fitting(file: Path, port: Port, value: NDArray[Any]) -> NDArray[Any]:
    if port.datatype == BYTES:
        if value.dtype.kind not in "US":
            raise ModelkitError(f"{file}: {port.name} is {value.dtype}: it needs strings")
        value = value.astype(str).astype(object)
    elif value.dtype != DATATYPES[port.datatype]:
        raise ModelkitError(f"{file}: {port.name} is {value.dtype}: it needs {DATATYPES[port.datatype]}")
    dims = port.dims
    if dims is not None:
        fits = len(dims) == value.ndim and all(
            isinstance(dim, str) or dim == size for dim, size in zip(dims, value.shape, strict=True)
        )
        if not fits:
            raise ModelkitError(f"{file}: {port.name} has shape {list(value.shape)}: it needs {list(dims)}")
    return value


def split_items(values: Tensors) -> list[list[NDArray[Any]]]:
    """Return the items of a batch, each as a batch of one."""
    return [[value[row : row + 1] for value in values] for row in range(len(values[0]))]


def together(items: Sequence[Tensors]) -> list[NDArray[Any]]:
    """Return several inputs, or several answers, as one batch."""
    return [np.concatenate(values) for values in zip(*items, strict=True)]
