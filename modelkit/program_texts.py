"""What the texts in a program of torch.export may be: names, operators, arithmetic of sizes, literals.

PyTorch writes a program's names into the source of functions that it executes, evaluates its sizes, and
imports what its trees of inputs and outputs name. So a text has a rule by its field, and no other field one.
"""

import ast
import dataclasses
import json
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch._export.serde.union import _Union
from torch._ops import OpOverload

# PyTorch's operators in namespaces that hold kernels alone; of aten, what reads and writes files is left out.
_KERNEL = re.compile(r"torch\.ops\.(aten|prims|quantized|quantized_decomposed)\.\w+\.\w+")
_FILES = re.compile(r"torch\.ops\.aten\.(from_file|save|load)\b.*")
# control flow, and the regions that an export marks
_HIGHER_ORDER = re.compile(
    r"torch\.ops\.higher_order\.(cond|while_loop|map_impl|scan|associative_scan"
    r"|wrap_with_set_grad_enabled|wrap_with_autocast)"
)
_SYMBOLIC = re.compile(r"torch\.(_?sym_\w+)")
_PYTHON = {f"_operator.{name}" for name in dir(operator) if name.islower() and not name.startswith("_")}
_PYTHON |= {f"math.{name}" for name in dir(math) if not name.startswith("_")}
_PYTHON -= {"_operator.attrgetter", "_operator.methodcaller", "_operator.call"}
# the functions of sizes: PyTorch's own, and those of SymPy that an export writes
_OF_SIZES = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Mod|Max|Min|Abs|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge"
    r"|Equality|Unequality|(Strict)?(Less|Greater)Than|floor|ceiling|sqrt|Piecewise|ExprCondPair|Tuple"
    r"|FloorDiv|ModularIndexing|Where|PythonMod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift"
    r"|PowByNatural|FloatPow|FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat"
    r"|TruncToInt|RoundToInt|RoundDecimal|ToFloat|Identity"
)
_SIZE_NODES = (
    ast.Expression,
    ast.Call,
    ast.Name,
    ast.Constant,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.keyword,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.Tuple,
)
# of parameters and modules, which a dictionary of the user's may have named; "__class__" is no part of them
_PATH = re.compile(r"(?!(?:.*\.)?__\w*__(?:\.|$))[\w.\-/:@]*")
_KEY = "key"


def within(part: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a part of a program in PyTorch's schema and all that it holds, each after the name of its field.

    The field of a mapping's keys is "key".
    """
    yield field, part
    if isinstance(part, _Union):
        yield from within(part.value, str(part.type))
    elif dataclasses.is_dataclass(part):
        for inner in dataclasses.fields(part):
            yield from within(getattr(part, inner.name), inner.name)
    elif isinstance(part, dict):
        for key, value in part.items():
            yield _KEY, key
            yield from within(value, field)
    elif isinstance(part, list):
        for value in part:
            yield from within(value, field)


def faults(part: Any) -> Iterator[str]:
    """Yield in words each text of a part that could run other code than PyTorch's operators."""
    for field, text in within(part):
        if isinstance(text, str):
            rule = _RULES.get(field)
            if rule is None:
                yield f"has a text {text[:80]!r} as {field}"
            elif not rule(text):
                yield _SAID.get(field, "has the name {!r}").format(text[:80])


def _is_operator(target: str) -> bool:
    if _KERNEL.fullmatch(target):
        return not _FILES.fullmatch(target) and _is_kernel(target)
    return bool(_HIGHER_ORDER.fullmatch(target) or _SYMBOLIC.fullmatch(target)) or target in _PYTHON


def _is_kernel(target: str) -> bool:
    """Tell whether a name is a kernel's, or nothing's, as of a newer PyTorch; namespaces have methods too."""
    found: Any = torch.ops
    for name in target.split(".")[2:]:
        found = getattr(found, name, None)
    return found is None or isinstance(found, OpOverload)


def _is_of_sizes(text: str) -> bool:
    """Tell whether an expression has only numbers, symbols, operators and known functions of sizes."""
    if not text.isprintable():  # SymPy leaves line breaks out before it reads an expression
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _SIZE_NODES) and _is_a_size(node) for node in ast.walk(tree))


def _is_a_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and _OF_SIZES.fullmatch(node.func.id) is not None
    if isinstance(node, ast.Name):
        return not node.id.startswith("__")
    # a symbol's name is the only text, and no more than a word
    return not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node.value.isidentifier()


def _is_a_name(text: str) -> bool:
    """Tell whether a text is a variable's name, or empty, as the name of an operator's argument may be."""
    return not text or (text.isidentifier() and not keyword.iskeyword(text))


def _is_a_path(text: str) -> bool:
    return _PATH.fullmatch(text) is not None


def _is_a_tree(is_key: Callable[[str], bool], text: str) -> bool:
    """Tell whether a text describes tensors in tuples, lists and dictionaries with such keys."""
    try:
        protocol, tree = json.loads(text)
        return protocol == 1 and _is_a_branch(is_key, tree)
    except (ValueError, TypeError, RecursionError):
        return False


def _is_a_branch(is_key: Callable[[str], bool], tree: Any) -> bool:
    match tree:
        case {"type": None, "context": None, "children_spec": []}:
            return True
        case {"type": "builtins.tuple" | "builtins.list", "context": "null", "children_spec": [*children]}:
            pass
        case {
            "type": "builtins.dict" | "collections.OrderedDict",
            "context": str(context),
            "children_spec": [*children],
        }:
            keys = json.loads(context)
            if not isinstance(keys, list) or not all(isinstance(key, str) and is_key(key) for key in keys):
                return False
        case _:
            return False
    return all(_is_a_branch(is_key, child) for child in children)


def _is_a_literal(_: str) -> bool:
    return True


_RULES: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(("target", "as_operator"), _is_operator),
    "expr_str": _is_of_sizes,
    # the keys of inputs become the names of arguments
    "in_spec": partial(_is_a_tree, _is_a_name),
    "out_spec": partial(_is_a_tree, _is_a_path),
    **dict.fromkeys(("name", "as_name", "forward_arg_names", "user_input_name"), _is_a_name),
    **dict.fromkeys(("fqn", "parameter_name", "buffer_name", "tensor_constant_name"), _is_a_path),
    **dict.fromkeys((_KEY, "path_name", "torch_version", "verifiers", "type"), _is_a_path),
    # an operator's argument: PyTorch writes it as Python's repr does
    **dict.fromkeys(("as_string", "as_strings"), _is_a_literal),
}
_SAID = {
    **dict.fromkeys(("target", "as_operator"), "calls {!r}, which is not an operator that runs here"),
    "expr_str": "has a size {!r}, which is not arithmetic",
    "in_spec": "takes other than tensors in tuples, lists and dictionaries with plain keys",
    "out_spec": "returns other than tensors in tuples, lists and dictionaries with plain keys",
}
