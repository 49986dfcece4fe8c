"""The `--help` of the verbs as Markdown, the same on every terminal and with every version of Python."""

import argparse
import re
from collections.abc import Mapping
from functools import partial

from bench.errors import UsageError
from bench.verbs import VERBS
from bench.verbs.parser import build_parser

# what argparse makes of a terminal of 80 columns
WIDTH = 78
UNBROKEN = 100_000
# added by Python before 3.13 to the help of --x/--no-x, which says by itself what the default is
ADDED = " (default: %(default)s)"


def all_help() -> str:
    """The help of the program, then that of each verb and of each action of a verb, below their headings."""
    parser = build_parser()
    sections = [_fenced(parser)]
    for name, verb in _verbs(parser).items():
        sections.append(f"## {name}\n\n{_fenced(verb)}")
        # what is a verb itself has its own section
        actions = {action: one for action, one in _below(verb).items() if action not in VERBS}
        sections += [f"### {name} {action}\n\n{_fenced(one)}" for action, one in actions.items()]
    return "\n".join(sections)


def verb_help(name: str) -> str:
    """The help of one verb; raises UsageError if the command line has no verb of this name."""
    verbs = _verbs(build_parser())
    if name not in verbs:
        raise UsageError(f"{name} is not a verb of bench: there are {', '.join(verbs)}")
    return _fenced(verbs[name])


def help_text(parser: argparse.ArgumentParser) -> str:
    """What the parser prints for --help on 80 columns, its usage broken into lines by us.

    Where argparse breaks usage differs between versions of Python, and from 3.14 on it writes in colours. The
    parser is changed: give it one that is used for nothing else.
    """
    for action in parser._actions:
        if isinstance(action, argparse.BooleanOptionalAction) and action.help:
            action.help = action.help.removesuffix(ADDED)
    parser.color = False  # type: ignore[attr-defined]  # known from 3.14 on, and without effect before
    plain = parser.formatter_class
    parser.formatter_class = partial(plain, width=UNBROKEN)  # type: ignore[call-arg]  # the stubs' protocol has prog alone
    usage = " ".join(parser.format_usage().split())
    parser.formatter_class = partial(plain, width=WIDTH)  # type: ignore[call-arg]  # the same
    _, blank, rest = parser.format_help().partition("\n\n")
    return _broken(usage, len(f"usage: {parser.prog} ")) + blank + rest


def _broken(usage: str, indent: int) -> str:
    """The usage in lines of WIDTH columns, broken between options and between alternatives."""
    lines = [""]
    for part in _parts(usage):
        joined = f"{lines[-1]} {part}".strip() if len(lines) == 1 else f"{lines[-1]} {part}"
        fits = len(joined) <= WIDTH or not lines[-1].strip()
        lines[-1:] = [joined] if fits else [lines[-1], " " * (indent - 1) + f" {part}"]
    return "\n".join(lines)


def _parts(usage: str) -> list[str]:
    """The usage cut at the blanks outside all brackets, and after each bar within them."""
    parts, depth, part = [], 0, ""
    for word in usage.split(" "):
        part = f"{part} {word}" if part else word
        depth += len(re.findall(r"[\[(]", word)) - len(re.findall(r"[\])]", word))
        if depth == 0 or word == "|":
            parts.append(part)
            part = ""
    return [*parts, part] if part else parts


def _verbs(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of the verbs by name, in the order in which --help lists them."""
    verbs = _below(parser)
    if not verbs:
        raise UsageError("the command line has no verbs: nothing can be told of them")
    return verbs


def _below(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The parsers of what the parser divides into, by name; none if it does not divide."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def _fenced(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{help_text(parser)}```\n"
