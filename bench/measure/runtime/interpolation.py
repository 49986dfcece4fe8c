"""${NAME} in compose.yaml, for a machine without docker compose: the forms that compose replaces."""

import re
from collections.abc import Mapping
from typing import Any

from bench.errors import UsageError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPERATOR = re.compile(r":?[-+?]")


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Replace ${NAME}, $NAME, ${NAME:-default}, :+, :? and the forms without colon; $$ is one dollar sign.

    Defaults may hold further ${…}. Raises UsageError for a form that compose would refuse.
    """
    result, position = [], 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0 or dollar + 1 == len(text):
            result.append(text[position:])
            return "".join(result)
        result.append(text[position:dollar])
        following = text[dollar + 1]
        plain = NAME.match(text, dollar + 1)
        if following == "$":
            result.append("$")
            position = dollar + 2
        elif following == "{":
            end = _closing_brace(text, dollar + 1)
            result.append(_expand(text[dollar + 2 : end], environment))
            position = end + 1
        elif plain:
            result.append(environment.get(plain.group(), ""))
            position = plain.end()
        else:
            raise UsageError(f"compose.yaml: {text!r} holds a lone $: write $$ for a dollar sign")


def interpolate_tree(node: Any, environment: Mapping[str, str]) -> Any:
    """Interpolate every string value of parsed YAML; keys stay as they are."""
    if isinstance(node, str):
        return interpolate(node, environment)
    if isinstance(node, dict):
        return {key: interpolate_tree(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate_tree(value, environment) for value in node]
    return node


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        if text[index] == "{" and text[index - 1] == "$":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise UsageError(f"compose.yaml: {text!r} has a ${{ that is never closed: add the brace")


def _expand(inside: str, environment: Mapping[str, str]) -> str:
    """The value of the text between ${ and }."""
    name = NAME.match(inside)
    if name is None:
        raise UsageError(f"compose.yaml: ${{{inside}}} names no variable")
    value, rest = environment.get(name.group()), inside[name.end() :]
    if not rest:
        return value or ""
    operator = OPERATOR.match(rest)
    if operator is None:
        raise UsageError(f"compose.yaml: ${{{inside}}} is not a form that compose knows")
    alternative = rest[operator.end() :]
    present = bool(value) if operator.group().startswith(":") else value is not None
    kind = operator.group()[-1]
    if kind == "+":
        return interpolate(alternative, environment) if present else ""
    if present:
        return value or ""
    if kind == "-":
        return interpolate(alternative, environment)
    raise UsageError(f"compose.yaml needs {name.group()}: {alternative or 'set it in the environment'}")
