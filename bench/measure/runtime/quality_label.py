"""The label bench.quality: how near to the reference's a strategy declares its answers."""

from bench.model import EXACT, Quality
from bench.model.from_outside import decimal_number

LABEL = "bench.quality"
RULE = (
    'write exact, "bounded 0.05" (each probability is so near) or "agreement 0.99 loss 0.01" (labels agree '
    "so often, and accuracy is at most so much lower), with numbers from 0 to 1"
)


def quality_of_text(text: str) -> Quality | None:
    """The quality that a label's text declares; None if the text declares none."""
    match text.split():
        case ["exact"]:
            return EXACT
        case ["bounded", tolerance]:
            bound = _share(tolerance)
            return None if bound is None else Quality("bounded", tolerance=bound)
        case ["agreement", agreement, "loss", loss]:
            least, most = _share(agreement), _share(loss)
            return None if least is None or most is None else Quality("agreement", None, least, most)
    return None


def is_quality(text: str) -> bool:
    """Whether a label's text declares a quality."""
    return quality_of_text(text) is not None


def in_label(quality: Quality) -> str:
    """The text of the label that declares this quality."""
    match quality.promise:
        case "bounded":
            return f"bounded {quality.tolerance:g}"
        case "agreement":
            return f"agreement {quality.agreement:g} loss {quality.loss:g}"
    return "exact"


def _share(text: str) -> float | None:
    value = decimal_number(text)
    return value if value is not None and value <= 1 else None
