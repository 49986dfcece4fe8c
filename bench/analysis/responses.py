"""How each request of a trial's window fared, in the order in which they came due: what tells of a tail."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import UsageError
from bench.model import ClosedLoad, Trial
from bench.statistics.tail_bounds import Floats


def read_responses(path: Path, trial: Trial) -> Floats:
    """The response times in ms, due to done, of the window's requests, in the order in which they came due.

    They are infinite if a request has no right answer: refused, failed or wrong, it is over every bound. The
    window's requests are those due in it under an open load, and in a closed loop those that ended in it and
    those that came due before its end and failed after it. Raises UsageError if the file cannot be read.
    """
    try:
        samples = pq.read_table(path, columns=["due_ns", "done_ns", "outcome"])
    except pa.ArrowException as error:
        raise UsageError(
            f"{path.name} in the run's samples cannot be read ({str(error).splitlines()[0]}): "
            "fetch it again, or remove it, and the report goes on without it"
        ) from None
    due, done = samples["due_ns"].to_numpy(), samples["done_ns"].to_numpy()
    right = samples["outcome"].to_numpy() == "ok"
    begin = int(trial.warmup_s * 1e9)
    end = begin + int(trial.window_s * 1e9)
    if isinstance(trial.load, ClosedLoad):
        inside = ((done >= begin) & (done < end)) | (~right & (due < end) & (done >= end))
    else:
        inside = (due >= begin) & (due < end)
    times: Floats = np.where(right, (done - due) / 1e6, np.inf)[inside]
    return times[np.argsort(due[inside], kind="stable")]
