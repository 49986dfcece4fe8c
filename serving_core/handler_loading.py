"""From a setting's `package.module:Class` to the class."""

import inspect
import re
from importlib import import_module

from serving_core.errors import StartError
from serving_core.handler import Handler

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
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise StartError(
            f"HANDLER={name}: {module_name} fails as it is imported ({cause}): mend it"
        ) from error
