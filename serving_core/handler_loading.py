"""From a setting's `package.module:Class` to the class, and what its handlers must have declared."""

import inspect
import re
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from serving_core.errors import StartError
from serving_core.handler import Handler
from serving_core.tensors import TensorSpec

_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


def load_handler(name: str) -> type[Handler]:
    """Return the class called `package.module:Class`; raises StartError when it is no usable Handler."""
    if not _NAME.fullmatch(name):
        raise StartError(f"HANDLER has {name!r}: write package.module:Class")
    module_name, _, class_name = name.partition(":")
    found = getattr(_module(name, module_name), class_name, None)
    if found is None:
        raise StartError(f"HANDLER={name}: {module_name} has no {class_name}: name a class that it defines")
    if not (isinstance(found, type) and issubclass(found, Handler)):
        raise StartError(f"HANDLER={name} is no Handler: derive it from serving_core.handler.Handler")
    if missing := sorted(found.__abstractmethods__):
        raise StartError(f"HANDLER={name} lacks {', '.join(missing)}: define what Handler leaves open")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise StartError(
            f"HANDLER={name} is not made without arguments ({error}): take what it needs in load"
        ) from None
    return found


def _module(name: str, module_name: str) -> object:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise StartError(
                f"HANDLER={name}: there is no module {missing}: correct the name or set PYTHONPATH"
            ) from None
        raise StartError(f"HANDLER={name}: {module_name} needs {missing}: install it") from None
    except (Exception, SystemExit) as error:
        raise StartError(
            f"HANDLER={name}: {module_name} fails as it is imported ({cause(error)}): mend it"
        ) from error


def check_declared(name: str, handler: Handler) -> None:
    """Raise StartError unless a loaded handler has TensorSpecs, with names of their own, in and out."""
    for kind in ("inputs", "outputs"):
        specs: Any = getattr(handler, kind, None)
        if not isinstance(specs, tuple) or not specs or not all(map(_is_spec, specs)):
            found = " ".join(repr(specs).split())
            raise StartError(
                f"HANDLER={name}: {kind} is {found}: make it a tuple of TensorSpec, at the latest in load"
            )
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise StartError(f"HANDLER={name}: {kind} are called {names}: give each a name of its own")


def _is_spec(value: object) -> bool:
    """Tell whether it is one whose name and shape are of the types that it says."""
    return (
        isinstance(value, TensorSpec)
        and isinstance(value.name, str)
        and value.name != ""
        and isinstance(value.shape, tuple)
        and all(isinstance(size, int) and size >= -1 for size in value.shape)
    )


def cause(error: BaseException) -> str:
    """Return an exception's type and message in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def told(error: BaseException) -> str:
    """Return that an exception was raised, and where, in one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"raises {cause(error)} ({Path(place.filename).name}:{place.lineno})"
