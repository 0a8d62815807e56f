"""What the names in a Python file mean, and which locks are taken where in it."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from threaddump.code import statements
from threaddump.code.locks import LockName
from threaddump.code.statements import Call, argument, constant, dotted, inside, is_unpacked

UNKNOWN = "?"
"""Stands for the type of an object that the file does not tell."""
_HOPS = 6
"""How many assignments are followed from a name to what it means."""
_LOCKS = {
    "threading.Lock",
    "threading.RLock",
    "threading.Condition",
    "_thread.allocate_lock",
    "_thread.RLock",
    "multiprocessing.Lock",
    "multiprocessing.RLock",
    "asyncio.Lock",
    "asyncio.Condition",
}
_SOCKETS = {"socket.socket", "socket.create_connection", "socket.create_server", "socket.fromfd"}
_WITHOUT_IMPORT = {"sleep": "time.sleep"}
"""Functions that a bare name means even where the imports are not at hand."""
_TIMEOUT_AT = {
    "threading.py:wait": 0,
    "threading.py:wait_for": 1,
    "threading.py:join": 0,
    "threading.py:acquire": 1,
    "queue.py:get": 1,
    "queue.py:put": 2,
    "concurrent/futures/_base.py:result": 0,
    "concurrent/futures/_base.py:exception": 0,
    "concurrent/futures/_base.py:wait": 1,
    "concurrent/futures/_base.py:as_completed": 1,
    "subprocess.py:wait": 0,
    "subprocess.py:communicate": 1,
}
"""Functions of the standard library, written in Python, that wait for ever unless told otherwise, and where a call
passes the timeout."""
_TIMEOUT_BY_NAME = ("requests/api.py:", "requests/sessions.py:")
"""The same for functions that take it by its name only."""
_BLOCKS = ("body", "orelse", "finalbody", "handlers")


@dataclass(slots=True)
class _Class:
    bases: list[str]
    methods: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    """Attributes that stand in the class's body: all objects share them."""
    attributes: dict[str, tuple[ast.expr, Scope]] = field(default_factory=dict)


@dataclass(slots=True)
class Scope:
    """A function of a file, or the file's own level."""

    node: ast.AST
    name: str
    """Qualified, as Python has it, without ``<locals>``: ``Inventory.get``, ``<module>``."""
    of_class: str | None
    outer: Scope | None
    parameters: dict[str, ast.expr | None] = field(default_factory=dict)
    """Parameters and their annotations."""
    values: dict[str, ast.expr | None] = field(default_factory=dict)
    """Local names and what is assigned to them; None where that is not one expression."""

    @property
    def first(self) -> str | None:
        """The first parameter of a method."""
        return next(iter(self.parameters), None) if self.of_class else None


class Module:
    """One file's names. Without a tree (a printed line is all there is) names mean what they mostly do."""

    def __init__(
        self, file: str, tree: ast.Module | None, locate: Callable[[str], str | None] = lambda _: None
    ) -> None:
        self.file = file
        self.known = tree is not None
        self.imports: dict[str, str] = {}
        self.classes: dict[str, _Class] = {}
        self.functions: set[str] = set()
        self.top = Scope(tree or ast.Module([], []), "<module>", None, None)
        self.scopes: list[Scope] = [self.top]
        self._locate = locate
        if tree is not None:
            self._read(list(tree.body), self.top, None)

    def _read(self, nodes: list[ast.AST], scope: Scope, of_class: str | None) -> None:
        pending: list[tuple[ast.AST, Scope, str | None]] = [(node, scope, of_class) for node in reversed(nodes)]
        while pending:
            node, scope, of_class = pending.pop()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._function(node, scope, of_class, pending)
            elif isinstance(node, ast.ClassDef):
                bases = [name for base in node.bases if (name := dotted(base))]
                self.classes.setdefault(node.name, _Class(bases))
                pending.extend((child, scope, node.name) for child in reversed(node.body))
            else:
                self._statement(node, scope, of_class)
                pending.extend((child, scope, of_class) for child in reversed(list(ast.iter_child_nodes(node))))

    def _function(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        scope: Scope,
        of_class: str | None,
        pending: list[tuple[ast.AST, Scope, str | None]],
    ) -> None:
        prefix = of_class or (scope.name if scope is not self.top else "")
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters = {one.arg: one.annotation for one in named}
        inner = Scope(node, f"{prefix}.{node.name}" if prefix else node.name, of_class, scope, parameters)
        self.scopes.append(inner)
        if of_class:
            self.classes[of_class].methods.add(node.name)
        elif scope is self.top:
            self.functions.add(node.name)
        else:
            scope.values[node.name] = None
        pending.extend((child, inner, None) for child in reversed(node.body))

    def _statement(self, node: ast.AST, scope: Scope, of_class: str | None) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.imports[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self.imports[alias.asname or alias.name] = f"{'.' * node.level}{node.module or ''}.{alias.name}"
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                self._assign(target, node.value, scope, of_class)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    self._assign(item.optional_vars, item.context_expr, scope, of_class)
        elif isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value, scope, of_class)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._assign(node.target, None, scope, of_class)

    def _assign(self, target: ast.expr, value: ast.expr | None, scope: Scope, of_class: str | None) -> None:
        if isinstance(target, ast.Name):
            if of_class:
                self.classes[of_class].shared.add(target.id)
                if value is not None:
                    self.classes[of_class].attributes.setdefault(target.id, (value, scope))
            else:
                # A name with two meanings has none.
                scope.values[target.id] = value if target.id not in scope.values else None
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._assign(element, None, scope, of_class)
        elif isinstance(target, ast.Attribute) and scope.of_class and dotted(target.value) == scope.first:
            if value is not None:
                self.classes[scope.of_class].attributes.setdefault(target.attr, (value, scope))

    # What is called

    def callee(self, call: Call, scope: Scope) -> str | None:
        """What a call calls: ``time.sleep``, ``socket.socket.recv``, ``?.recv``; None where Python code is called."""
        if call.call is None:
            return self._entered(call.callee, scope)
        if isinstance(call.callee, ast.Name):
            return self._called_name(call.callee.id, scope)
        if not isinstance(call.callee, ast.Attribute):
            return UNKNOWN
        base, method = call.callee.value, call.callee.attr
        of_type = self.type_of(base, scope)
        if of_type is None:
            return f"{UNKNOWN}.{method}"
        if method == "acquire" and of_type in _LOCKS:
            return statements.LOCK
        return None if of_type in self.classes else f"{of_type}.{method}"

    def _entered(self, node: ast.expr, scope: Scope) -> str | None:
        """What ``with`` enters: a lock, or something that is called for it and counted as a call."""
        name = dotted(node)
        if name is None:
            return UNKNOWN
        of_type = self.type_of(node, scope)
        if of_type is not None:
            return statements.LOCK if of_type in _LOCKS else f"{of_type}.__enter__"
        return statements.LOCK if statements.may_be_lock(name) else f"{UNKNOWN}.__enter__"

    def _called_name(self, name: str, scope: Scope) -> str | None:
        if name in self.functions or name in self.classes:
            return None
        if (meaning := self._imported(name, scope)) is not None:
            return meaning
        if not self.known and name in _WITHOUT_IMPORT:
            return _WITHOUT_IMPORT[name]
        if hasattr(builtins, name) and not self._is_local(name, scope):
            return name
        return UNKNOWN

    def _imported(self, name: str, scope: Scope) -> str | None:
        if self._is_local(name, scope):
            return None
        if name in self.imports:
            return self.imports[name]
        return name if not self.known and name in sys.stdlib_module_names else None

    @staticmethod
    def _is_local(name: str, scope: Scope | None) -> bool:
        while scope is not None:
            if name in scope.parameters or name in scope.values:
                return True
            scope = scope.outer
        return False

    def type_of(self, node: ast.expr | None, scope: Scope, hops: int = _HOPS) -> str | None:
        """What an expression is, as far as imports, assignments and annotations tell: ``threading.Lock``.

        Of an imported module it is its name; of what a method returns the method's.
        """
        if node is None or hops == 0:
            return None
        if isinstance(node, ast.Call):
            made = self._made_by(node.func, scope, hops - 1)
            return "socket.socket" if made in _SOCKETS else made
        if isinstance(node, ast.Await):
            return None
        if isinstance(node, ast.Name):
            return self._type_of_name(node.id, scope, hops - 1)
        if isinstance(node, ast.Attribute):
            return self._type_of_attribute(node, scope, hops - 1)
        if isinstance(node, ast.Constant) and node.value is not None:
            return type(node.value).__name__
        return None

    def _made_by(self, node: ast.expr, scope: Scope, hops: int) -> str | None:
        if isinstance(node, ast.Name):
            if node.id in self.classes:
                return node.id
            found = self._called_name(node.id, scope)
            return None if found == UNKNOWN else found
        if isinstance(node, ast.Attribute):
            base = self.type_of(node.value, scope, hops)
            return f"{base}.{node.attr}" if base is not None and base not in self.classes else None
        return None

    def _type_of_name(self, name: str, scope: Scope, hops: int) -> str | None:
        at: Scope | None = scope
        while at is not None:
            if name in at.values:
                return self.type_of(at.values[name], at, hops)
            if name in at.parameters:
                annotation = at.parameters[name]
                written = _annotated(annotation)
                if written is None:
                    return at.of_class if name == at.first else None
                root, dot, rest = written.partition(".")
                return self.imports.get(root, root) + dot + rest
            at = at.outer
        return self._imported(name, scope)

    def _type_of_attribute(self, node: ast.Attribute, scope: Scope, hops: int) -> str | None:
        base = self.type_of(node.value, scope, hops)
        if base is None:
            return None
        found = self.attribute(base, node.attr)
        if found is not None:
            return self.type_of(found[0], found[1], hops)
        return None if base in self.classes else f"{base}.{node.attr}"

    def attribute(self, of_class: str, name: str) -> tuple[ast.expr, Scope] | None:
        """What is assigned to an attribute in a class of this file, or in its bases here."""
        home = self.home(of_class, name)
        return self.classes[home].attributes.get(name) if home is not None else None

    def home(self, of_class: str, name: str) -> str | None:
        """The class of this file that assigns an attribute."""
        for _ in range(_HOPS):
            known = self.classes.get(of_class)
            if known is None:
                return None
            if name in known.attributes:
                return of_class
            of_class = next((base for base in known.bases if base in self.classes), "")
        return None

    def drivers(self, names: frozenset[str]) -> set[str]:
        """Which of these packages the file imports."""
        return {meaning.partition(".")[0] for meaning in self.imports.values()} & names

    # Locks

    def lock(self, node: ast.expr, scope: Scope, hops: int = _HOPS) -> LockName | None:
        """Which lock an expression means; None where that cannot be told (``locks[key]``)."""
        path = dotted(node)
        if path is None or hops == 0:
            return None
        root, _, rest = path.partition(".")
        at: Scope | None = scope
        while at is not None and at is not self.top:
            if root in at.values and not rest:
                value = at.values[root]
                if value is not None and dotted(value) is not None:
                    return self.lock(value, at, hops - 1)
                return LockName((self.file, "", root), root, root)
            if root in at.values or root in at.parameters:
                return self._of_local(root, rest, at, hops)
            at = at.outer
        if root in self.classes and rest:
            return LockName((self.file, root, rest), path)
        if root in self.imports:
            whole = f"{self.imports[root]}.{rest}" if rest else self.imports[root]
            module, _, name = whole.rpartition(".")
            return LockName((self._locate(module) or module, name), path)
        return LockName((self.file, path), path)

    def _of_local(self, root: str, rest: str, scope: Scope, hops: int) -> LockName | None:
        if not rest:
            # A function is given it: told apart from others of this name in the file by its address alone.
            return LockName((self.file, "", root), root, root)
        owner = self._type_of_name(root, scope, _HOPS)
        if owner not in self.classes:
            # The only class here with such an attribute, if there is one.
            homes = [name for name, known in self.classes.items() if rest in known.attributes]
            owner = homes[0] if len(homes) == 1 else None
        if owner is None:
            return LockName((self.file, "", rest), f"{root}.{rest}", root, rest)
        home = self.home(owner, rest) or owner
        known = self.classes[home]
        found = known.attributes.get(rest)
        if found is not None and isinstance(found[0], ast.Call) and found[0].args:
            # Condition(self._lock) is that lock.
            inner = dotted(found[0].args[0])
            if inner is not None and inner.startswith("self.") and inner != f"self.{rest}":
                return self._of_local(root, inner.removeprefix("self."), scope, hops - 1) if hops > 1 else None
        name = f"{home}.{rest}"
        if rest in known.shared and root != scope.first:
            return LockName((self.file, home, rest), name, root, rest)
        shared = rest in known.shared and (found is None or found[1].of_class is None)
        return LockName((self.file, home, rest), name, None if shared else root, rest)

    def held(self, scope: Scope, line: int, leaf: bool) -> Iterator[LockName]:
        """The locks that a thread holds at this line of a function.

        ``leaf``: nothing of the thread stands above this line, so where a ``with`` and its body share the line it may
        still wait for the lock.
        """
        for node in inside(statements.body(scope.node)):
            if isinstance(node, (ast.With, ast.AsyncWith)):
                last = node.body[-1].end_lineno or node.body[-1].lineno
                first = node.body[0].lineno
                header = max(item.context_expr.end_lineno or node.lineno for item in node.items)
                if first <= line <= last and (line > header or not leaf):
                    yield from self._entered_locks(node, scope)
            for block in _BLOCKS:
                inner = getattr(node, block, None)
                if isinstance(inner, list):
                    yield from self._acquired(inner, scope, line)
        yield from self._acquired(statements.body(scope.node), scope, line)

    def managed(self, scope: Scope, line: int) -> tuple[list[LockName], list[LockName]]:
        """The calls that ``with`` statements make in this line, and those whose blocks this line is in."""
        entered: list[LockName] = []
        inside_of: list[LockName] = []
        for node in inside(statements.body(scope.node)):
            if not isinstance(node, ast.With):
                continue
            called = [name for item in node.items if (name := self._manager(item.context_expr, scope)) is not None]
            if any(item.context_expr.lineno <= line <= (item.context_expr.end_lineno or 0) for item in node.items):
                entered += called
            if node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0):
                inside_of += called
        return entered, inside_of

    def managed_in_line(self, function: str) -> tuple[list[LockName], list[LockName]]:
        """The same of a single printed line, which is all there is of this file."""
        nodes = statements.of_function(self.top.node, function.rpartition(".")[2])
        scope = Scope(nodes[-1], function, None, self.top) if nodes else self.top
        return self.managed(scope, 1)

    def _manager(self, node: ast.expr, scope: Scope) -> LockName | None:
        """``pool.connection()``: what is called, told apart as locks are."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        of = self.lock(node.func.value, scope)
        return None if of is None else LockName((*of.key, f"{node.func.attr}()"), f"{of.name}.{node.func.attr}()")

    def _entered_locks(self, node: ast.With | ast.AsyncWith, scope: Scope) -> Iterator[LockName]:
        for item in node.items:
            if self._entered(item.context_expr, scope) == statements.LOCK:
                lock = self.lock(item.context_expr, scope)
                if lock is not None:
                    yield lock

    def _acquired(self, block: list[ast.AST], scope: Scope, line: int) -> Iterator[LockName]:
        """Locks that a statement of the block acquires before this line and a later one releases after it."""
        taken: dict[str, None] = {}
        for statement in block:
            if (getattr(statement, "end_lineno", None) or 0) < line:
                if isinstance(statement, (ast.Expr, ast.Assign, ast.If)):
                    head = statement.test if isinstance(statement, ast.If) else statement
                    taken.update(dict.fromkeys(_calls_of("acquire", [head])))
                for name, _ in _released(statement):
                    taken.pop(name, None)
            elif taken:
                for name, end in _released(statement):
                    if name in taken and line < end:
                        lock = self.lock(ast.parse(name, mode="eval").body, scope)
                        if lock is not None:
                            yield lock
                    taken.pop(name, None)


def _annotated(node: ast.expr | None, hops: int = _HOPS) -> str | None:
    """The class that an annotation names: ``SimpleQueue`` of ``"SimpleQueue[str] | None"``."""
    if node is None or hops == 0:
        return None
    if isinstance(node, ast.Constant):
        tree = statements.parse(node.value) if isinstance(node.value, str) else None
        only = tree.body[0] if tree is not None and len(tree.body) == 1 else None
        return _annotated(only.value, hops - 1) if isinstance(only, ast.Expr) else None
    if isinstance(node, ast.BinOp):
        return _annotated(node.left, hops - 1) or _annotated(node.right, hops - 1)
    if isinstance(node, ast.Subscript):
        outer = dotted(node.value)
        inner = outer is not None and outer.rpartition(".")[2] in {"Optional", "Final", "Annotated", "ClassVar"}
        return _annotated(node.slice, hops - 1) if inner else outer
    return dotted(node)


def _calls_of(method: str, nodes: list[ast.AST]) -> Iterator[str]:
    """The objects, as dotted names, of which these nodes call a method."""
    for node in inside(nodes):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            name = dotted(node.func.value)
            if name is not None:
                yield name


def _released(statement: ast.AST) -> Iterator[tuple[str, int]]:
    """What a statement releases, and the line from which on it is released."""
    if isinstance(statement, ast.Try) and statement.finalbody:
        first = statement.finalbody[0].lineno
        yield from ((name, first) for name in _calls_of("release", list(statement.finalbody)))
    elif isinstance(statement, ast.Expr):
        yield from ((name, statement.lineno) for name in _calls_of("release", [statement]))


def timed(name: str, call: ast.Call | None) -> bool | None:
    """Whether the call of this function has a timeout, as far as its arguments say; ``None`` where they do not."""
    if call is None:
        return False if name == statements.LOCK else None
    method = name.rpartition(".")[2]
    if name == statements.LOCK or method in {"acquire", "get", "put"}:
        value = argument(call, 2 if method == "put" else 1, "timeout")
    elif method in {"wait", "join", "result", "exception", "poll", "communicate"}:
        value = argument(call, 0, "timeout")
    elif name == "select.select":
        value = argument(call, 3, "timeout")
    elif name == "time.sleep":
        return True
    else:
        return None
    if value is None:
        return None if is_unpacked(call) else False
    number = constant(value)
    if number is None or number == -1:
        return False
    return True if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def takes_timeout(function: str) -> bool:
    """Whether the arguments of this function (``queue.py:get``) tell if it waits with a timeout."""
    return function in _TIMEOUT_AT or function.startswith(_TIMEOUT_BY_NAME)


def timed_wait(function: str, call: ast.Call) -> bool | None:
    """Whether a call of this function of Python code has a timeout; None where the arguments do not tell."""
    value = argument(call, _TIMEOUT_AT.get(function, -1), "timeout")
    if value is None:
        return None if is_unpacked(call) else False
    if isinstance(value, (ast.Tuple, ast.List)):
        return None
    number = constant(value)
    if number is None:
        return False
    return True if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def blocks(name: str, call: ast.Call | None) -> bool:
    """Whether the call may block at all: ``acquire(False)`` and ``flock(f, LOCK_EX | LOCK_NB)`` do not."""
    if call is None:
        return True
    if name == statements.LOCK or name.endswith((".acquire", ".get", ".put")):
        value = argument(call, 1 if name.endswith(".put") else 0, "blocking", "block")
        return constant(value) is not False
    if name.startswith("fcntl."):
        return not any((dotted(node) or "").endswith("LOCK_NB") for arg in call.args for node in _expressions(arg))
    return True


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    return (one for one in ast.walk(node) if isinstance(one, ast.expr))
