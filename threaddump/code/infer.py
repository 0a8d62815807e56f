"""Which C function threads stand in, by the source line below it, and which locks they want and hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from threaddump.classify import Classifier, Verdict
from threaddump.code import awaits, modules, statements
from threaddump.code.files import SourceFiles
from threaddump.code.locks import LockName, SourceLocks
from threaddump.code.modules import UNKNOWN, Module, Scope
from threaddump.code.statements import Call
from threaddump.naming import SOURCE_LINE, is_installed
from threaddump.system_calls import is_socket_call
from threaddump_parsers.model import Dump, Frame, Lock, Stack, Thread
from threaddump_parsers.traceback_recipes import WROTE_THE_DUMP

DRIVERS = frozenset(
    {"psycopg2", "MySQLdb", "pyodbc", "cx_Oracle", "oracledb", "pymssql", "ibm_db", "sqlite3", "duckdb"}
)
"""Database drivers written in C: their calls leave no Python frame."""
DATABASE_CALLS = frozenset({"execute", "executemany", "callproc", "commit", "rollback", "copy_from", "copy_expert"}) | {
    "fetchone",
    "fetchmany",
    "fetchall",
}
WAITING = frozenset({"external-call", "pool-wait", "sync-wait", "queue-put", "io", "idle"})
WEAK = frozenset({"print"})
"""Calls that count only where a line has no other."""
_LOCK_CLASSES = ("asyncio/locks.py", "threading.py", "multiprocessing/synchronize.py")
"""Files of locks that are written in Python: their frames stand above the line that takes or waits for one."""
_ASYNC_LOCKS = "asyncio/locks.py"
"""Frames of a lock of asyncio, above the coroutine that awaits it."""
_MAX_TEXT = 80
_WHOLE = (ast.AugAssign, ast.Return, ast.If, ast.While, ast.Pass, ast.Continue, ast.Break)
"""Statements that a line without a call shows whole."""


@dataclass(slots=True, frozen=True)
class Found:
    """The C function that a line calls."""

    frame: Frame
    timed: bool | None
    text: str
    lock: tuple[LockName, Frame] | None = None
    """The lock that it takes, and the frame whose variables tell its object."""


@dataclass(slots=True, frozen=True)
class _Line:
    """What stands in the line of a frame."""

    module: Module
    scope: Scope
    calls: Sequence[Call]
    implicit: bool
    text: str
    awaited: Sequence[Call] | None
    """What a coroutine that is suspended there may wait for."""


class Inference:
    """Completes dumps with what the source says: the printed lines, and the files below the user's folders."""

    def __init__(self, roots: Sequence[str] = ()) -> None:
        self.files = SourceFiles(roots) if roots else None
        self._calls: dict[tuple[Frame, bool, bool], Found | None] = {}
        self._stacks: dict[tuple[Stack, Frame], Stack] = {}
        self._printed = Module("", None)

    def complete(
        self, dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier
    ) -> tuple[Sequence[Verdict], SourceLocks | None]:
        """The verdicts with those that the source adds; such threads get a frame on top, and the lock that they want.

        Who holds a lock is told by files alone: a printed line does not show in which block it stands.
        """
        found: dict[int, Found] = {}
        for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
            named = _named_by_the_kernel(verdict)
            if verdict.kind == "unknown" or named or _takes_a_lock(verdict):
                call = self._call(thread, classifier)
                if call is not None and not (named and not is_socket_call(classifier.key(call.frame))):
                    found[index] = call
        added = [index for index in found if verdicts[index].kind == "unknown" or _named_by_the_kernel(verdicts[index])]
        for index in added:
            self._put_on_top(dump.threads[index], found[index].frame)
        if added:
            verdicts = self._with_reasons(classifier.verdicts(dump), added, found)
        verdicts = [
            replace(verdict, kind="runtime", inferred="it wrote this dump, and its frames for that are left out")
            if verdict.kind == "unknown" and thread.printed_state == WROTE_THE_DUMP
            else verdict
            for thread, verdict in zip(dump.threads, verdicts, strict=True)
        ]
        verdicts = self._with_timeouts(dump, verdicts, classifier)
        wants = {index: lock for index, call in found.items() if (lock := self._wanted(dump, index, call)) is not None}
        for index, lock in wants.items():
            # What the dump prints tells the lock better: gdb knows its address.
            if dump.threads[index].blocked_on is None:
                dump.threads[index].blocked_on = Lock(SourceLocks.id(lock), f"lock {lock.name}")
        locks = SourceLocks(wants, self._holds(dump) if wants else {}, self.files is not None)
        if any(verdict.kind == "pool-wait" for verdict in verdicts):
            self._note_leases(dump, verdicts, locks)
        return verdicts, locks

    def complaints(self, dump: Dump) -> list[str]:
        """Why sources of this dump's frames were not used."""
        if self.files is None:
            return []
        return self.files.complaints_on({f.file for thread in dump.threads for f in thread.stack if f.file})

    # Calls

    @staticmethod
    def _with_reasons(verdicts: Sequence[Verdict], added: Sequence[int], found: dict[int, Found]) -> Sequence[Verdict]:
        result = list(verdicts)
        known: dict[tuple[int, int], Verdict] = {}
        for index in added:
            verdict, call = verdicts[index], found[index]
            key = (id(verdict), id(call))
            if key not in known:
                reason = f"inferred from the source line {call.text}"
                known[key] = replace(verdict, inferred=reason)
                if call.timed is not None and verdict.kind != "idle":
                    known[key] = replace(known[key], timed=call.timed, timed_reason=f"the source line is {call.text}")
            result[index] = known[key]
        return result

    def _with_timeouts(self, dump: Dump, verdicts: Sequence[Verdict], classifier: Classifier) -> Sequence[Verdict]:
        """Say whether a wait has a timeout where the application's line shows what it passes."""
        known: dict[tuple[int, Stack], Verdict] = {}
        result = []
        for thread, verdict in zip(dump.threads, verdicts, strict=True):
            if verdict.timed is None and verdict.kind in WAITING:
                key = (id(verdict), thread.stack)
                if key not in known:
                    known[key] = self._with_timeout(thread.stack, verdict, classifier)
                verdict = known[key]
            result.append(verdict)
        return result

    def _with_timeout(self, stack: Stack, verdict: Verdict, classifier: Classifier) -> Verdict:
        """By what is passed to the function above the innermost frame of the application: ``q.get(timeout=5)``."""
        above = ""
        for frame in stack:
            key = classifier.key(frame)
            if not classifier.is_platform(key) and not classifier.is_library(key):
                break
            above = above if frame.native else key
        else:
            return verdict
        at = self._at(frame) if modules.takes_timeout(above) else None
        if at is None:
            return verdict
        function = above.rpartition(":")[2]
        calls = [one.call for one in at.calls if one.call is not None and _last_name(one.callee) == function]
        known = {modules.timed_wait(above, call) for call in calls}
        if len(known) != 1 or (timed := known.pop()) is None:
            return verdict
        return replace(verdict, timed=timed, timed_reason=f"the source line is {_quoted(at.text)}")

    def _put_on_top(self, thread: Thread, frame: Frame) -> None:
        key = (thread.stack, frame)
        thread.stack = self._stacks.setdefault(key, (frame, *thread.stack))
        if thread.locals:
            thread.locals = {index + 1: variables for index, variables in thread.locals.items()}

    def _call(self, thread: Thread, classifier: Classifier) -> Found | None:
        frames = [frame for frame in thread.stack if not frame.native]
        awaited = bool(frames) and (frames[0].file or "").endswith(_ASYNC_LOCKS)
        leaf = next((frame for frame in frames if not (frame.file or "").endswith(_ASYNC_LOCKS)), None)
        if leaf is None or leaf.line is None:
            return None
        if thread.printed_state == WROTE_THE_DUMP:
            # The same line may be another thread's, which did not call anything to write the dump.
            return self._read(leaf, classifier, wrote=True)
        suspended = thread.virtual and thread.state == "IDLE" and leaf is thread.stack[0]
        key = (leaf, awaited, suspended)
        if key not in self._calls:
            read = self._read_await if suspended else partial(self._read, awaited=awaited)
            self._calls[key] = read(leaf, classifier)
        return self._calls[key]

    def _at(self, frame: Frame, awaited: bool = False) -> _Line | None:
        """The line of a frame, from its file or else as the dump prints it."""
        at = self.files.scope(frame) if self.files is not None else None
        if self.files is not None and at is not None:
            module, scope = at
            line = frame.line or 0
            nodes = statements.body(scope.node)
            calls, implicit = statements.calls_at(nodes, line, awaited)
            if not calls and not implicit:
                calls, implicit = _of_statement(nodes, line)
            text = frame.source or self.files.line(module.file, line)
            return _Line(module, scope, calls, implicit, text, statements.awaited_at(nodes, line))
        tree = statements.printed(frame.source or "")
        if tree is None:
            return None
        functions = statements.of_function(tree, frame.function.rpartition(".")[2])
        nodes = statements.body(functions[-1] if functions else tree)
        calls, implicit = statements.calls_at(nodes, 1, awaited)
        # `timeout=5` may be a statement, and as well an argument of a call that began lines above.
        implicit = implicit or not all(isinstance(node, _WHOLE) for node in nodes)
        suspended = statements.awaited_at(nodes, 1)
        return _Line(self._printed, self._printed.top, calls, implicit, frame.source or "", suspended)

    def _read(self, leaf: Frame, classifier: Classifier, *, wrote: bool = False, awaited: bool = False) -> Found | None:
        """The one call of a line that blocks; of several of one kind the last, which is the outer or the later one."""
        at = self._at(leaf, awaited)
        if at is None:
            return None
        module, scope, calls, text = at.module, at.scope, at.calls, at.text
        known: list[tuple[str, str, Call]] = []
        others = 0
        for call in calls:
            name = module.callee(call, scope)
            if name is None:
                others += 1
                continue
            names = [name, f"{UNKNOWN}.{name.rpartition('.')[2]}"]
            if names[1] == f"{UNKNOWN}.acquire" and _may_take_a_lock(call):
                names.append(statements.LOCK)
            drivers = module.drivers(DRIVERS)
            if len(drivers) == 1 and name.rpartition(".")[2] in DATABASE_CALLS:
                names.append(f"{min(drivers)}.{name}")
            kinds = ((n, _kind(n, classifier)) for n in names if modules.blocks(n, call.call))
            deciding = next(((n, kind) for n, kind in kinds if kind is not None), None)
            if deciding is None:
                others += 1
            else:
                known.append((*deciding, call))
        if wrote and others:
            return None
        strong = [one for one in known if one[0] not in WEAK] or known
        if len({kind for _, kind, _ in strong}) > 1:
            return None
        if not strong:
            if calls or at.implicit or wrote or not text:
                return None
            return Found(self._frame(leaf, statements.BYTECODE), None, _quoted(text))
        name, _, call = max(strong, key=lambda one: _order(one[2]))
        lock = None
        if name == statements.LOCK and len(strong) == 1:
            lock = self._named_lock(call, at, leaf)
        return Found(self._frame(leaf, name), modules.timed(name, call.call), _quoted(text), lock)

    def _read_await(self, leaf: Frame, classifier: Classifier) -> Found | None:
        """What a suspended coroutine waits for in its line, if that can only be one thing."""
        at = self._at(leaf)
        found = awaits.waited_for(at.awaited, at.module, at.scope) if at is not None and at.awaited else None
        if at is None or found is None or _kind(found[0], classifier) is None:
            return None
        name, call = found
        lock = None
        if name == awaits.AWAIT + awaits.LOCK:
            lock = self._named_lock(call, at, leaf)
        return Found(self._frame(leaf, name), awaits.timed(call, at.module, at.scope), _quoted(at.text), lock)

    def _named_lock(self, call: Call, at: _Line, leaf: Frame) -> tuple[LockName, Frame] | None:
        base = call.callee.value if call.call and isinstance(call.callee, ast.Attribute) else call.callee
        named = at.module.lock(base, at.scope) if at.module is not self._printed else _printed_lock(base, leaf)
        return (named, leaf) if named is not None else None

    @staticmethod
    def _frame(leaf: Frame, name: str) -> Frame:
        return Frame(name, SOURCE_LINE, leaf.line, native=True)

    # Locks

    def _wanted(self, dump: Dump, index: int, call: Found) -> LockName | None:
        if call.lock is None:
            return None
        lock, frame = call.lock
        found = self._of_object(dump.threads[index], lock, frame)
        # A name alone, without the file, may mean another lock in each function.
        return None if found is lock and not lock.key else found

    @staticmethod
    def _of_object(thread: Thread, lock: LockName, frame: Frame) -> LockName:
        """The lock of the one object that the frame's variables name, where the dump has them."""
        if lock.variable is None or not thread.locals:
            return lock
        depth = thread.stack.index(frame)
        return lock.of_object(thread.locals.get(depth, {}).get(lock.variable, "")) or lock

    def _holds(self, dump: Dump) -> dict[int, list[LockName]]:
        """The locks that each thread holds by the code that it stands in."""
        holds: dict[int, list[LockName]] = {}
        known: dict[tuple[Frame, bool], list[LockName]] = {}
        for index, thread in enumerate(dump.threads):
            leaf = True
            above: Frame | None = None
            for frame in thread.stack:
                if frame.native or (frame.file or "").endswith(_LOCK_CLASSES):
                    above = above if frame.native else frame
                    continue
                key = (frame, leaf)
                if key not in known:
                    known[key] = list(self._held(frame, leaf))
                for lock in known[key]:
                    if not self._gives_back(frame, lock, above):
                        holds.setdefault(index, []).append(self._of_object(thread, lock, frame))
                leaf, above = False, frame
        return holds

    def _note_leases(self, dump: Dump, verdicts: Sequence[Verdict], locks: SourceLocks) -> None:
        """Note in which ``with`` statement threads wait for a slot of a pool, and who is inside such a block."""
        known: dict[Frame, tuple[list[LockName], list[LockName]]] = {}
        for index, (thread, verdict) in enumerate(zip(dump.threads, verdicts, strict=True)):
            for frame in thread.stack:
                if frame not in known:
                    known[frame] = self._managed(frame)
                entered, inside = known[frame]
                if verdict.kind == "pool-wait" and len(entered) == 1:
                    locks.leases.setdefault(index, entered[0])
                elif verdict.kind != "pool-wait" and inside:
                    locks.uses.setdefault(index, []).extend(inside)

    def _managed(self, frame: Frame) -> tuple[list[LockName], list[LockName]]:
        if frame.file is None or is_installed(frame.file):
            return [], []
        at = self.files.scope(frame) if self.files is not None else None
        if at is not None and frame.line is not None:
            return at[0].managed(at[1], frame.line)
        if frame.source is None or "with " not in frame.source:
            return [], []
        tree = statements.printed(frame.source)
        return Module(frame.file, tree).managed_in_line(frame.function) if tree is not None else ([], [])

    def _held(self, frame: Frame, leaf: bool) -> Iterator[LockName]:
        at = self.files.scope(frame) if self.files is not None else None
        if at is not None and frame.line is not None:
            module, scope = at
            yield from module.held(scope, frame.line, leaf)

    def _gives_back(self, frame: Frame, lock: LockName, above: Frame | None) -> bool:
        """Whether the thread waits in ``Condition.wait`` of this lock, which releases it meanwhile."""
        if above is None or not (above.file or "").endswith("threading.py"):
            return False
        if above.function.rpartition(".")[2] not in {"wait", "wait_for"}:
            return False
        at = self.files.scope(frame) if self.files is not None else None
        if at is None:
            return False
        module, scope = at
        calls, _ = statements.calls_at(statements.body(scope.node), frame.line or 0)
        bases = [call.callee.value for call in calls if isinstance(call.callee, ast.Attribute)]
        return any((named := module.lock(base, scope)) is not None and named.key == lock.key for base in bases)


def _kind(name: str, classifier: Classifier) -> str | None:
    """The kind that the catalog gives to a call; None for one that it does not know."""
    entries = [entry for entry in classifier.catalog.frames.find(f"call:{name}") if entry.kind is not None]
    return max(entries, key=lambda entry: entry.priority).kind if entries else None


def _printed_lock(node: ast.expr, leaf: Frame) -> LockName | None:
    """A lock by the printed line alone: known only where the dump prints the address of its object."""
    path = statements.dotted(node)
    if path is None:
        return None
    root, _, rest = path.partition(".")
    name = path
    if root == "self" and "." in leaf.function:
        name = f"{leaf.function.split('.')[-2]}.{rest}"
    return LockName((), name, root, rest)


def _last_name(node: ast.expr) -> str | None:
    """``get`` of ``self.jobs.get`` and of ``jobs().get``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _named_by_the_kernel(verdict: Verdict) -> bool:
    """Whether only the kernel told that it is a call to a peer: the line may tell whose code made it."""
    return verdict.kind == "external-call" and verdict.entry is None


def _takes_a_lock(verdict: Verdict) -> bool:
    return verdict.kind == "lock-wait" and verdict.entry is not None and verdict.entry.system == "lock"


def _may_take_a_lock(call: Call) -> bool:
    name = statements.dotted(call.callee.value) if isinstance(call.callee, ast.Attribute) else None
    return name is not None and statements.may_be_lock(name)


def _order(call: Call) -> tuple[int, int]:
    """Later where it ends further on: the outer call, or the next statement of the line."""
    node = call.call or call.callee
    return (node.end_lineno or 0, node.end_col_offset or 0)


def _of_statement(nodes: list[ast.AST], line: int) -> tuple[list[Call], bool]:
    """The calls of the simple statement over several lines that this line is one of."""
    for node in statements.inside(nodes):
        if isinstance(node, ast.stmt) and not hasattr(node, "body") and node.lineno <= line <= (node.end_lineno or 0):
            calls, implicit = [], False
            for each in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                some, does = statements.calls_at([node], each)
                calls += [call for call in some if call not in calls]
                implicit = implicit or does
            return calls, implicit
    return [], True


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    return f"`{text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + '…'}`"
