"""What a project is made for: its name, and where the forms of its model are."""

import re
from dataclasses import dataclass

from bench.errors import UsageError

# of compose projects and of images
NAME = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
# the folder model/ of the project, as the services see it
MOUNTED = "file:///models"
GRAPH, PROGRAM, WEIGHTS = ".onnx", ".pt2", ".safetensors"
# strategy -> the forms of a model that it can serve, the best first; a program needs no code of the user's
SERVED = {"torch": (PROGRAM, WEIGHTS), "onnx": (GRAPH,), "batched": (PROGRAM, WEIGHTS)}
# the address of a strategy's model if no model is named yet
USUAL = {GRAPH: f"{MOUNTED}/model.onnx", PROGRAM: f"{MOUNTED}/program.pt2"}


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """A project's name, its model's name, and the model's address for each form that there is.

    `encodings` are those of the requests that the model takes, None if that is not known. With `architecture`
    the weights are those of a class of the user's.
    """

    name: str
    model: str
    addresses: dict[str, str]
    encodings: tuple[str, ...] | None = None
    architecture: str | None = None

    @property
    def strategies(self) -> dict[str, str]:
        """Each strategy that can serve the model, with the address of the form that it serves."""
        found = {name: self._form(name) for name in SERVED}
        return {name: self.addresses[form] for name, form in found.items() if form is not None}

    @property
    def left_out(self) -> dict[str, str]:
        """Each strategy that cannot serve the model, with the reason."""
        return {
            name: f"it serves {' or '.join(forms)}, and the model has no such form"
            for name, forms in SERVED.items()
            if self._form(name) is None
        }

    @property
    def remote(self) -> bool:
        """Whether the services fetch the model from elsewhere."""
        return any(not uri.startswith("file://") for uri in self.strategies.values())

    @property
    def needs_code(self) -> bool:
        """Whether a strategy serves weights whose architecture is code of the user's."""
        served = {self._form(name) for name in SERVED}
        return WEIGHTS in served and self.architecture is not None

    def _form(self, strategy: str) -> str | None:
        return next((form for form in SERVED[strategy] if form in self.addresses), None)


def checked_name(text: str) -> str:
    """The text as a project's name; raises UsageError if it cannot be that."""
    if not NAME.fullmatch(text) or len(text) > 60:
        raise UsageError(
            f"{text!r} cannot be a project's name: write small letters and digits, with single dashes or "
            "underscores between them"
        )
    return text


def name_of_folder(name: str) -> str:
    """The name of a project in a folder of this name."""
    return "-".join(re.findall("[a-z0-9]+", name.lower()))[:60].strip("-") or "project"
