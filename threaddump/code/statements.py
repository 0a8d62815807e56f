"""The calls that a line of Python makes, and which of them may be the C function that a thread stands in."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PRINTED = 500
"""A longer printed line is not parsed."""
LOCK = "lock.acquire"
"""What taking a lock is called, whether by ``with`` or by ``acquire``."""
BYTECODE = "no call"
"""What a line is called that calls nothing: a thread that stands there executes it."""
_LOCKS = ("lock", "mutex", "cond", "condition", "guard", "semaphore", "sem")
_CLOSED = (
    "conn connection db database session cursor cur tx txn transaction f fp fh file fd out stream pool executor client "
    "response resp archive zip tar engine sock socket ctx context cm trans"
)
_NOT_LOCKS = tuple(_CLOSED.split(" "))
"""Names of objects that a ``with`` statement closes or commits. What else has a name is a lock as a rule."""
_OUTER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = {
    "<listcomp>": ast.ListComp,
    "<setcomp>": ast.SetComp,
    "<dictcomp>": ast.DictComp,
    "<genexpr>": ast.GeneratorExp,
}
_IMPLICIT = (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith, ast.comprehension, ast.Await, ast.Yield, ast.YieldFrom)
_IMPLICIT_STATEMENTS = (ast.Import, ast.ImportFrom, ast.Delete, *_OUTER)


@dataclass(slots=True, frozen=True)
class Call:
    """A call that a line makes, or a lock that its ``with`` takes."""

    callee: ast.expr
    """What is called; of a ``with`` statement what it enters."""
    call: ast.Call | None
    """None for a ``with`` statement."""
    line: int
    """The line that the interpreter gives for it."""
    managed: bool = False
    """Whether ``async with`` enters and leaves what the call returns."""


def parse(text: str) -> ast.Module | None:
    """The tree of a text, None where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def printed(line: str) -> ast.Module | None:
    """The tree of a line as a dump prints it: it may be a header without a body, or the first line of several."""
    if len(line) > MAX_PRINTED or not line.strip():
        return None
    line = line.strip()
    head, _, rest = line.partition(" ")
    if head == "elif":
        line = f"if {rest}"
    attempts = [f"{line} pass"] if line.endswith(":") else [line, *(line + end for end in (")", "))", "]", "}"))]
    return next((tree for attempt in attempts if (tree := parse(attempt)) is not None), None)


def of_function(tree: ast.AST, function: str, line: int | None = None) -> list[ast.AST]:
    """The bodies of the functions of this bare name, innermost last; ``line`` has to be in them.

    Of a printed line: the function that begins in it, else the whole line.
    """
    wanted = _COMPREHENSIONS.get(function)
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if wanted is not None:
            fits = isinstance(node, wanted)
        elif function == "<lambda>":
            fits = isinstance(node, ast.Lambda)
        else:
            fits = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function
        if fits and (line is None or first_line(node) <= line <= (getattr(node, "end_lineno", None) or 0)):
            found.append(node)
    return found


def first_line(node: ast.AST) -> int:
    """The first line of a function, its decorators with it."""
    lines: list[int] = [decorator.lineno for decorator in getattr(node, "decorator_list", ())]
    return min(lines, default=getattr(node, "lineno", 0))


def body(node: ast.AST) -> list[ast.AST]:
    """What a function executes."""
    if isinstance(node, ast.Lambda):
        return [node.body]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
        return list(node.body)
    return list(ast.iter_child_nodes(node))  # a comprehension


def inside(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes and what they consist of, without the bodies of functions that begin in them."""
    pending = list(reversed(nodes))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _OUTER):
            pending.extend(reversed(list(ast.iter_child_nodes(node))))


def calls_at(nodes: list[ast.AST], line: int, awaited: bool = False) -> tuple[list[Call], bool]:
    """The calls that stand in this line, and whether it may do without saying so what only a call does otherwise.

    Of a call over several lines the interpreter gives the line of its beginning, or, in a chain, of the method's name.
    ``awaited``: a suspended coroutine stands there, so what ``async with`` enters counts.
    """
    calls = []
    implicit = False
    for node in inside(nodes):
        if isinstance(node, ast.Call):
            begins = getattr(node.func, "end_lineno", None) or node.lineno
            if line in {node.lineno, begins}:
                calls.append(Call(node.func, node, begins))
        elif isinstance(node, (ast.With, ast.AsyncWith)) and awaited is isinstance(node, ast.AsyncWith):
            calls += [Call(i.context_expr, None, line) for i in node.items if i.context_expr.lineno == line]
        if isinstance(node, ast.comprehension) or (
            isinstance(node, (*_IMPLICIT, *_IMPLICIT_STATEMENTS)) and getattr(node, "lineno", 0) == line
        ):
            implicit = True
    return calls, implicit


def awaited_at(nodes: list[ast.AST], line: int) -> list[Call] | None:
    """What a suspended coroutine may wait for in this line: the calls that it awaits, and the locks it may enter.

    None where it may be anything else: a task or future by its name, what ``async for`` asks.
    """
    found = []
    for node in inside(nodes):
        if getattr(node, "lineno", line) != line:
            continue
        if isinstance(node, ast.Await):
            if not isinstance(node.value, ast.Call):
                return None
            found.append(Call(node.value.func, node.value, line))
        elif isinstance(node, ast.AsyncWith):
            found += [
                Call(i.context_expr.func, i.context_expr, line, managed=True)
                if isinstance(i.context_expr, ast.Call)
                else Call(i.context_expr, None, line)
                for i in node.items
            ]
        elif isinstance(node, ast.AsyncFor) or (isinstance(node, ast.comprehension) and node.is_async):
            return None
    return found


def dotted(node: ast.expr) -> str | None:
    """``self._pool.lock`` of the expression; None for what is no chain of names."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(names)])


def is_lock_name(name: str) -> bool:
    """Whether a name says that it is a lock's: ``inventory_lock``, ``_mutex``, ``cond``."""
    last = name.rpartition(".")[2].strip("_").lower()
    return last.endswith(_LOCKS) or last.startswith(("lock", "mutex"))


def may_be_lock(name: str) -> bool:
    """Whether what a ``with`` statement enters by this name is a lock, by this name."""
    last = name.rpartition(".")[2].strip("_").lower()
    return is_lock_name(name) or not any(last == word or last.endswith("_" + word) for word in _NOT_LOCKS)


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """An argument by its position or its name."""
    for keyword in call.keywords:
        if keyword.arg in names:
            return keyword.value
    return call.args[position] if len(call.args) > position and position >= 0 else None


def is_unpacked(call: ast.Call) -> bool:
    """Whether arguments come from ``*args`` or ``**kwargs``: then nothing is known of them."""
    return any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)


def constant(node: ast.expr | None) -> object:
    """The value of a constant, ``...`` where it is none."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, (int, float)) else ...
    return node.value if isinstance(node, ast.Constant) else ...
