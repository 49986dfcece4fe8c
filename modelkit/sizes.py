"""Sizes that vary, as exporters write them: a name, or sums and products of names, as 2*s40 or s94 + 1."""

import ast
from collections.abc import Callable

# far below what recursion over its terms would take
_LONGEST = 500


def evaluate(size: str, size_of: Callable[[str], int]) -> int:
    """Return the size, at least 1, that a text stands for; `size_of` gives that of a name.

    A text that is not arithmetic of sizes, as seq-len is not, is a name itself.
    """
    tree = _arithmetic(size)
    return size_of(size) if tree is None else max(1, _value(tree, size_of))


def names_in(size: str) -> set[str]:
    """Return the names that a size is made of; a text that is not arithmetic of sizes is one itself."""
    tree = _arithmetic(size)
    return {size} if tree is None else {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _arithmetic(size: str) -> ast.expr | None:
    """Return the tree of a text of at most _LONGEST characters that is arithmetic of sizes, else None."""
    try:
        tree = ast.parse(size.strip(), mode="eval").body if len(size) <= _LONGEST else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if tree is not None and _is_arithmetic(tree) else None


def _is_arithmetic(node: ast.expr) -> bool:
    match node:
        case ast.Name() | ast.Constant(value=int()):
            return True
        case ast.BinOp(op=ast.Add() | ast.Mult()):
            return _is_arithmetic(node.left) and _is_arithmetic(node.right)
        case ast.BinOp(op=ast.Sub() | ast.FloorDiv(), right=ast.Constant(value=int(number))):
            return number > 0 and _is_arithmetic(node.left)
    return False


def _value(node: ast.expr, size_of: Callable[[str], int]) -> int:
    match node:
        case ast.Name():
            return size_of(node.id)
        case ast.Constant(value=int(number)):
            return number
        case ast.BinOp():
            left, right = _value(node.left, size_of), _value(node.right, size_of)
            match node.op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.Mult():
                    return left * right
            return left // right
    raise TypeError(f"{ast.dump(node)} is not arithmetic of sizes")
