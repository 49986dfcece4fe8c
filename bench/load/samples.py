"""The samples of a trial: read from the driver's columns, and kept in a parquet file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.load.recorder import COLUMNS
from bench.model import OUTCOMES

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Samples:
    """Columns with an entry for each request, ordered by when it ended; times are ns since the epoch.

    `outcome` holds indices into OUTCOMES, `payload` indices into the trial's payloads, `bytes` the length
    of the answer's body.
    """

    due_ns: Ints
    sent_ns: Ints
    done_ns: Ints
    bytes: Ints
    status: Ints
    payload: Ints
    outcome: Ints

    def __len__(self) -> int:
        return len(self.due_ns)

    def where(self, chosen: NDArray[np.bool_]) -> "Samples":
        """The samples of which the mask, with an entry for each, is true."""
        return Samples(**{name: getattr(self, name)[chosen] for name, _ in COLUMNS})


def read_columns(file: Path, rows: int) -> Samples:
    """Read the columns that the driver wrote."""
    columns: dict[str, Ints] = {}
    with file.open("rb") as raw:
        for name, code in COLUMNS:
            columns[name] = np.fromfile(raw, dtype=np.dtype(code), count=rows).astype(np.int64)
    order = np.argsort(columns["done_ns"], kind="stable")
    return Samples(**{name: column[order] for name, column in columns.items()})


def write_parquet(samples: Samples, file: Path, *, strategy: str, round_: int, payload_class: str) -> None:
    """Write a trial's samples in one step, with its strategy, round and payload class as columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def constant(value: str) -> Any:
        indices = pa.array(np.zeros(len(samples), dtype=np.int8))
        return pa.DictionaryArray.from_arrays(indices, pa.array([value]))

    times = {name: pa.array(getattr(samples, name)) for name in ("due_ns", "sent_ns", "done_ns")}
    table = pa.table(
        {
            "strategy": constant(strategy),
            "round": pa.array(np.full(len(samples), round_, dtype=np.int16)),
            "payload_class": constant(payload_class),
            **times,
            "outcome": pa.DictionaryArray.from_arrays(
                pa.array(samples.outcome.astype(np.int8)), pa.array(list(OUTCOMES))
            ),
            "status": pa.array(samples.status.astype(np.int16)),
            "bytes": pa.array(samples.bytes.astype(np.int32)),
            "payload": pa.array(samples.payload.astype(np.int16)),
        }
    )
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    pq.write_table(
        table,
        fresh,
        compression="zstd",
        compression_level=9,
        use_dictionary=["strategy", "round", "payload_class", "outcome", "status", "bytes"],
        column_encoding={**dict.fromkeys(times, "DELTA_BINARY_PACKED"), "payload": "PLAIN"},
    )
    fresh.replace(file)
