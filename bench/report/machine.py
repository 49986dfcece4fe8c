"""When, on what and how a run was made, in one line."""

from bench.model import Run
from bench.report.text import MISSING


def machine_line(run: Run) -> str:
    """When, on what and how the run was made, in one line."""
    environment = run.environment
    memory = environment.get("memory_bytes")
    parts = [
        f"{run.created[:10]} on {environment.get('cpu_model') or 'an unnamed CPU'}",
        f"{environment.get('cores') or MISSING} cores",
        f"{memory / 1024**3:.0f} GiB of memory" if isinstance(memory, int | float) else "",
        f"service on core {environment['service_cores']}" if environment.get("service_cores") else "",
        f"driver on core {environment['driver_cores']}" if environment.get("driver_cores") else "",
        f"runtime {run.runtime}",
    ]
    return ", ".join(part for part in parts if part)
