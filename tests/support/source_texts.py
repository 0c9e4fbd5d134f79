"""The texts that a module writes: string constants and f-strings, their values as `{}`."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

GAP = "{}"


def texts_in(module: Path, *, fewest_words: int = 2) -> set[str]:
    """Each text of so many words, without docstrings. A value that is one of two texts gives two."""
    tree = ast.parse(module.read_text())
    left_out = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = {text for node in _nodes(tree, left_out) for text in _alternatives(node)}
    return {text for text in texts if _count_words(text) >= fewest_words}


def _nodes(tree: ast.AST, left_out: set[int]) -> Iterator[ast.AST]:
    """Nodes below this one; a docstring and the parts of an f-string are none of their own."""
    for node in ast.iter_child_nodes(tree):
        if id(node) in left_out and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        if not isinstance(node, ast.JoinedStr):
            yield from _nodes(node, left_out)


def _alternatives(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*map(_part, node.values))]
    return []


def _part(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FormattedValue):
        chosen = node.value
        if isinstance(chosen, ast.IfExp):
            choices = [each for branch in (chosen.body, chosen.orelse) for each in _alternatives(branch)]
            return choices if len(choices) > 1 else [GAP]
        return [GAP]
    return _alternatives(node)


def _count_words(text: str) -> int:
    return sum(word.isalpha() for word in text.replace(GAP, " ").split())
