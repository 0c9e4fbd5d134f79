"""Mutants of one module: each changes one expression or statement, as a mistake of a programmer could.

Docstrings, annotations, log messages and texts of exceptions are not changed: no test should depend on them.
Nor are changes made that cannot change a result, or that the type checker refuses: see `_unordered_parts`,
`_of_return` and `_children`.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
"""How each operator is written, and the one that replaces it."""

_OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.BitOr: "&",
    ast.BitAnd: "|",
    ast.BitXor: "|",
    ast.LShift: ">>",
    ast.RShift: "<<",
    ast.Pow: "*",
}
_FUNCTIONS: Final = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sorted": "list",
    "reversed": "list",
}
_DROPPED_METHODS: Final = frozenset(
    [
        "strip",
        "lstrip",
        "rstrip",
        "lower",
        "upper",
        "casefold",
        "removeprefix",
        "removesuffix",
        "where",
        "order_by",
        "limit",
        "distinct",
        "desc",
        "asc",
        "nulls_first",
        "nulls_last",
        "with_for_update",
        "having",
    ]
)
"""Methods whose object has the same type as their result: `x.strip()` becomes `x`."""

_UNORDERED: Final = frozenset({"all", "any", "bound", "frozenset", "len", "max", "min", "set"})
"""Functions whose result does not depend on the order of their argument. `bound` passes rows to a statement,
which joins them in any order. They are bound in order so that two transactions lock them in the same order.
"""

_PARTS: Final = frozenset({"and_", "or_", "where", "order_by", "having"})
"""Functions of which each argument is a condition of its own or a part of an order."""

_POSITION: Final = ("lineno", "col_offset", "end_lineno", "end_col_offset")

_NO_BEHAVIOUR: Final = frozenset({"strict", "frozen", "slots"})
"""Keywords that only check what holds anyway."""

_WORDS_OF_PROSE: Final = 4
"""A text with so many words is for people. (SQL has them too, but any change of it fails every test.)"""


@dataclass(frozen=True)
class Mutant:
    """A change of one module. `function`: its dotted name, "" at the top. `before`, `after`: its lines."""

    module: str
    line: int
    function: str
    before: str
    after: str
    source: str = field(repr=False)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What stays the same if other lines of the module change."""
        return self.module, self.function, self.before, self.after


@dataclass(frozen=True)
class _Change:
    node: ast.AST
    function: str
    text: str


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Return all mutants of a module, by line. Two changes with one result are one mutant."""
    text = _Source(source)
    found: dict[str, Mutant] = {}
    for change in _Finder(text).find(ast.parse(source)):
        mutant = _apply(module, text, change)
        if mutant.source != source:
            found.setdefault(mutant.source, mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.before, mutant.after))


class _Source:
    """A source and the places of its nodes, which `ast` counts in bytes of a line."""

    def __init__(self, source: str) -> None:
        self.bytes = source.encode()
        lengths = (len(line) for line in self.bytes.splitlines(keepends=True))
        self._line_starts = list(accumulate(lengths, initial=0))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The first byte of a node, and the one after its last."""
        line, column, end_line, end_column = (getattr(node, name) for name in _POSITION)
        return self._line_starts[line - 1] + column, self._line_starts[end_line - 1] + end_column

    def lines(self, node: ast.AST) -> tuple[int, int]:
        """The first byte of the first line of a node, and the one after its last line."""
        line, _, end_line, _ = (getattr(node, name) for name in _POSITION)
        return self._line_starts[line - 1], self._line_starts[end_line]

    def __getitem__(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.bytes[start:end].decode()


def _apply(module: str, text: _Source, change: _Change) -> Mutant:
    start, end = text.span(change.node)
    first, last = text.lines(change.node)
    before, after = text.bytes[:start], text.bytes[end:]
    changed = text.bytes[first:start] + change.text.encode() + text.bytes[end:last]
    return Mutant(
        module=module,
        line=change.node.lineno,  # type: ignore[attr-defined]
        function=change.function,
        before=_one_line(text.bytes[first:last].decode()),
        after=_one_line(changed.decode()),
        source=(before + change.text.encode() + after).decode(),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Finder:
    """Finds the changes of a tree. Each `_of_…` method yields the texts that replace one kind of node."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._unordered: set[int] = set()
        self._texts: dict[type[ast.AST], Callable[..., Iterator[str]]] = {
            ast.Compare: self._of_compare,
            ast.BoolOp: self._of_bool_op,
            ast.UnaryOp: self._of_unary_op,
            ast.BinOp: self._of_bin_op,
            ast.AugAssign: self._of_aug_assign,
            ast.Constant: self._of_constant,
            ast.JoinedStr: self._of_joined_str,
            ast.Call: self._of_call,
            ast.Return: self._of_return,
            ast.IfExp: self._of_if_exp,
            ast.Expr: self._of_statement,
            ast.Assign: self._of_statement,
            ast.Raise: lambda _: iter(["pass"]),
            ast.Delete: lambda _: iter(["pass"]),
            ast.Continue: lambda _: iter(["break"]),
            ast.Break: lambda _: iter(["continue"]),
        }

    def find(self, node: ast.AST, function: str = "") -> Iterator[_Change]:
        """Yield the changes of a node and of all nodes in it."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".lstrip(".")
        for text in self._texts[type(node)](node) if type(node) in self._texts else ():
            yield _Change(node, function, text)
        if isinstance(node, ast.Lambda | ast.ExceptHandler):
            part = node.body if isinstance(node, ast.Lambda) else node.type
            yield from (_Change(part, function, text) for text in self._shorter_tuples(part) if part)
        for condition in _conditions(node):
            yield from (_Change(condition, function, text) for text in ("True", "False"))
        self._unordered |= {id(part) for part in _unordered_parts(node)}
        for child in _children(node):
            yield from self.find(child, function)

    def _of_compare(self, node: ast.Compare) -> Iterator[str]:
        operands = [node.left, *node.comparators]
        for index, operator in enumerate(node.ops):
            signs = [_COMPARISONS[type(each)][0] for each in node.ops]
            signs[index] = _COMPARISONS[type(operator)][1]
            pairs = zip(signs, map(self._inner, operands[1:]), strict=True)
            yield f"({self._inner(operands[0])}{''.join(f' {sign} {text}' for sign, text in pairs)})"

    def _of_bool_op(self, node: ast.BoolOp) -> Iterator[str]:
        here, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        texts = [self._inner(value) for value in node.values]
        yield f"({f' {other} '.join(texts)})"
        for index in range(len(texts)):
            yield f"({f' {here} '.join(texts[:index] + texts[index + 1 :])})"

    def _of_unary_op(self, node: ast.UnaryOp) -> Iterator[str]:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            yield self._inner(node.operand)

    def _of_bin_op(self, node: ast.BinOp) -> Iterator[str]:
        if type(node.op) in _OPERATORS:
            yield f"({self._inner(node.left)} {_OPERATORS[type(node.op)]} {self._inner(node.right)})"

    def _of_aug_assign(self, node: ast.AugAssign) -> Iterator[str]:
        yield "pass"
        if type(node.op) in _OPERATORS:
            yield f"{self._source[node.target]} {_OPERATORS[type(node.op)]}= {self._source[node.value]}"

    def _of_constant(self, node: ast.Constant) -> Iterator[str]:
        match node.value:
            case bool(value):
                yield str(not value)
            case int(value) | float(value):
                yield str(value + 1)
            case str(value) if value and len(value.split()) < _WORDS_OF_PROSE:
                yield repr(f"X{value}")
            case bytes(value) if value:
                yield repr(b"X" + value)

    def _of_joined_str(self, node: ast.JoinedStr) -> Iterator[str]:
        if len(self._source[node].split()) < _WORDS_OF_PROSE:
            yield f'"X" {self._source[node]}'

    def _of_call(self, node: ast.Call) -> Iterator[str]:
        function = self._inner(node.func)
        arguments = [self._source[argument] for argument in node.args]
        keywords = [self._keyword(keyword) for keyword in node.keywords]
        if function == "sorted" and id(node) in self._unordered:
            return
        if function in _FUNCTIONS:
            first = arguments[:1] if _FUNCTIONS[function] == "list" else arguments + keywords
            yield f"{_FUNCTIONS[function]}({', '.join(first)})"
        if isinstance(node.func, ast.Attribute) and node.func.attr in _DROPPED_METHODS:
            yield self._inner(node.func.value)
        for index in (i for i, keyword in enumerate(node.keywords) if keyword.arg not in _NO_BEHAVIOUR):
            yield f"{function}({', '.join(arguments + keywords[:index] + keywords[index + 1 :])})"
        if function.rpartition(".")[2] in _PARTS and len(arguments) > 1:
            for index in range(len(arguments)):
                yield f"{function}({', '.join(arguments[:index] + arguments[index + 1 :] + keywords)})"

    def _keyword(self, keyword: ast.keyword) -> str:
        value = self._source[keyword.value]
        return f"**{value}" if keyword.arg is None else f"{keyword.arg}={value}"

    def _of_return(self, node: ast.Return) -> Iterator[str]:
        match node.value:
            case None | ast.Constant(value=None):
                return
            case ast.Constant(value=False):
                return  # None is as false, and the type checker refuses it
        yield "return None"
        yield from (f"return {shorter}" for shorter in self._shorter_tuples(node.value))

    def _of_if_exp(self, node: ast.IfExp) -> Iterator[str]:
        yield self._inner(node.body)
        yield self._inner(node.orelse)

    def _shorter_tuples(self, node: ast.expr | None) -> Iterator[str]:
        """The key of an order, or a group of exceptions, without one of its parts."""
        if isinstance(node, ast.Tuple) and len(node.elts) > 1:
            texts = [self._source[element] for element in node.elts]
            for index in range(len(texts)):
                yield f"({', '.join(texts[:index] + texts[index + 1 :])},)"

    def _of_statement(self, node: ast.Expr | ast.Assign) -> Iterator[str]:
        """A statement without a new name: other statements would fail without the name."""
        match node:
            case ast.Expr(value=ast.Constant()):
                return
            case ast.Expr() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield "pass"

    def _inner(self, node: ast.expr) -> str:
        text = self._source[node]
        simple = isinstance(node, ast.Name | ast.Constant | ast.Attribute | ast.Call | ast.Subscript)
        return text if simple and "\n" not in text else f"({text})"


def _conditions(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.If(test=test):
            return [test]
        case ast.comprehension(ifs=conditions):
            return conditions
        case ast.match_case(guard=guard) if guard is not None:
            return [guard]
    return []


def _unordered_parts(node: ast.AST) -> list[ast.expr]:
    """The parts of a node whose order changes no result."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _UNORDERED:
            return [argument.generators[0].iter if isinstance(argument, ast.GeneratorExp) else argument]
        case ast.SetComp(generators=[first, *_]):
            return [first.iter]
    return []


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that are searched for changes."""
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    match node:
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr():
            children = []
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            children = []
        case ast.Call(
            func=ast.Name(id="get_logger" | "TypeVar") | ast.Attribute(attr="get_logger")
        ):  # a test of the sources, and the type checker, compare the names
            children = []
        case ast.keyword(arg=name) if name in _NO_BEHAVIOUR:
            children = []
        case ast.ClassDef(body=body):  # without the values of an enumeration: tests use its names
            children = [child for child in body if not isinstance(child, ast.Assign)]
        case ast.FunctionDef(args=arguments, body=body) | ast.AsyncFunctionDef(args=arguments, body=body):
            children = [arguments, *body]
        case ast.AnnAssign(value=value):
            children = [value] if value else []
        case ast.arguments(defaults=defaults, kw_defaults=kw_defaults):
            children = [*defaults, *filter(None, kw_defaults)]
        case ast.Raise():
            children = [child for child in ast.walk(node) if isinstance(child, ast.IfExp)]
    yield from (child for child in children if not _is_log_call(child))


def _is_log_call(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "_log" | "logger")))):
            return True
    return False
