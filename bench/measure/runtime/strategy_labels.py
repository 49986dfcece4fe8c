"""What the labels of a strategy may say: names that are safe in every report, file and command."""

from collections.abc import Callable, Mapping

from bench.errors import UsageError
from bench.measure.runtime import quality_label
from bench.model import EXACT
from bench.model.from_outside import MOST_LINE, NAME_RULE, is_http_path, is_line, is_name

PATH_RULE = "write a path such as /predict/, of ASCII characters without spaces"
# label -> whether its text will do, and what to write instead
RULES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "bench.strategy": (is_name, NAME_RULE),
    "bench.title": (is_line, f"write one line of 1 to {MOST_LINE} printable characters"),
    "bench.model": (is_name, NAME_RULE),
    "bench.path": (is_http_path, PATH_RULE),
    "bench.ready": (is_http_path, PATH_RULE),
    quality_label.LABEL: (quality_label.is_quality, quality_label.RULE),
}


def check_labels(service: str, labels: Mapping[str, str]) -> None:
    """Raise UsageError if the service's name or a label of it is not fit to be shown, sent or made a file."""
    check_service_name(service)
    for label, (fits, remedy) in RULES.items():
        text = labels.get(label)
        if text is not None and not fits(text):
            raise UsageError(f"compose.yaml: {service}'s label {label} is {text[:MOST_LINE]!r}: {remedy}")
    declared = labels.get(quality_label.LABEL, "exact")
    if "bench.tolerance" in labels and quality_label.quality_of_text(declared) != EXACT:
        raise UsageError(
            f"compose.yaml: {service}'s label bench.tolerance is of exact answers, and its label "
            f"{quality_label.LABEL} is {declared[:MOST_LINE]!r}: leave one of the two out"
        )


def check_service_name(service: str) -> None:
    """Raise UsageError if the name of a service is not fit to be one."""
    if not is_name(service):
        raise UsageError(f"compose.yaml: {service[:MOST_LINE]!r} is not a service's name: {NAME_RULE}")
