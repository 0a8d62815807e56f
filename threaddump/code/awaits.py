"""What a suspended coroutine waits for, by the source line in which it awaits it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from threaddump.code import statements
from threaddump.code.modules import UNKNOWN, Module, Scope
from threaddump.code.statements import Call, argument, constant, dotted

AWAIT = "await "
"""Begins the name of what is awaited: the catalog does not take it for a C function that a thread stands in."""
LOCK = "asyncio.Lock.acquire"
SEMAPHORE = "asyncio.Semaphore.acquire"
_LOCKS = {
    "asyncio.Lock": LOCK,
    "asyncio.Condition": LOCK,
    "asyncio.Semaphore": SEMAPHORE,
    "asyncio.BoundedSemaphore": SEMAPHORE,
}
_WRAPPERS = {"asyncio.wait_for": "timeout", "asyncio.shield": ""}
"""Functions that wait for what they are given, and their argument with the timeout."""
_NEVER_SUSPEND = frozenset({"asyncio.timeout", "asyncio.timeout_at", "async_timeout.timeout", "anyio.fail_after"})
"""What ``async with`` enters and leaves without waiting."""
_SCOPES = frozenset({"asyncio.TaskGroup", "anyio.create_task_group"})
"""What ``async with`` leaves when its tasks are over; it does not wait to enter."""
_QUEUES = ("queue", "_q")
_EVENTS = ("event",)
_BY_NAME = {
    "get": ("asyncio.Queue.get", 0, _QUEUES),
    "put": ("asyncio.Queue.put", 1, _QUEUES),
    "join": ("asyncio.Queue.join", 0, _QUEUES),
    "wait": ("asyncio.Event.wait", 0, _EVENTS),
}
"""Methods of an object whose type is not known: what they are with so many arguments and such names of the object."""
_BY_METHOD = {
    "run_in_executor": "asyncio.AbstractEventLoop.run_in_executor",
    "sock_recv": "asyncio.AbstractEventLoop.sock_recv",
    "sock_recv_into": "asyncio.AbstractEventLoop.sock_recv_into",
    "sock_sendall": "asyncio.AbstractEventLoop.sock_sendall",
    "sock_connect": "asyncio.AbstractEventLoop.sock_connect",
    "readexactly": "asyncio.StreamReader.readexactly",
    "readuntil": "asyncio.StreamReader.readuntil",
    "drain": "asyncio.StreamWriter.drain",
    "communicate": "asyncio.subprocess.Process.communicate",
}
"""Methods that tell what they are of."""


def waited_for(calls: Sequence[Call], module: Module, scope: Scope) -> tuple[str, Call] | None:
    """What a coroutine waits for that is suspended in a line with these: its name in the catalog, and its call.

    None where that cannot be told: several may be it, or it is a coroutine of the application.
    """
    found = []
    for call in calls:
        if call.managed and _callee(call, module, scope) in _NEVER_SUSPEND:
            continue
        name = _lock(call, module, scope) or _name(_unwrapped(call, module, scope), module, scope)
        if name is None:
            return None
        found.append((AWAIT + name, call))
    return found[0] if len(found) == 1 else None


def timed(call: Call, module: Module, scope: Scope) -> bool | None:
    """Whether ``asyncio.wait_for`` limits the wait; None where it may be limited elsewhere (``async with timeout``)."""
    keyword = _WRAPPERS.get(_callee(call, module, scope) or "")
    if not keyword or call.call is None:
        return None
    number = constant(argument(call.call, 1, keyword))
    return True if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def _callee(call: Call, module: Module, scope: Scope) -> str | None:
    """The qualified name of what is called; of a printed line a name means what it says (``anyio.sleep``)."""
    name = module.callee(call, scope) if call.call is not None else None
    if name is not None and name.startswith(f"{UNKNOWN}.") and not module.known:
        return dotted(call.callee) or name
    return name


def _unwrapped(call: Call, module: Module, scope: Scope) -> Call:
    """What ``asyncio.wait_for`` and ``asyncio.shield`` are given to wait for."""
    for _ in range(len(_WRAPPERS)):
        if call.call is None or _callee(call, module, scope) not in _WRAPPERS or not call.call.args:
            break
        inner = call.call.args[0]
        if not isinstance(inner, ast.Call):
            break
        call = Call(inner.func, inner, call.line)
    return call


def _lock(call: Call, module: Module, scope: Scope) -> str | None:
    """``async with`` of a lock, which is known by its type or says by its name that it is one."""
    if call.call is not None:
        return None
    of_type = module.type_of(call.callee, scope)
    return _lock_named(dotted(call.callee)) if of_type is None else _LOCKS.get(of_type)


def _lock_named(name: str | None) -> str | None:
    if name is None or not statements.is_lock_name(name):
        return None
    return SEMAPHORE if name.lower().endswith(("sem", "semaphore")) else LOCK


def _name(call: Call, module: Module, scope: Scope) -> str | None:
    if call.call is None:
        return None
    name = _callee(call, module, scope)
    if name is None:
        return None
    if call.managed:
        return f"{name}.__aexit__" if name in _SCOPES else None
    if name == statements.LOCK:
        return LOCK
    if name == "time.sleep":
        return "asyncio.sleep"  # a bare `sleep`: that of time cannot be awaited
    base, _, method = name.rpartition(".")
    if module.known and base != UNKNOWN:
        return _BY_METHOD.get(method, name) if base.startswith("asyncio.") else name
    owner = dotted(call.callee.value) if isinstance(call.callee, ast.Attribute) else None
    count = len(call.call.args) + len(call.call.keywords)
    if method == "acquire" and not count and (lock := _lock_named(owner)) is not None:
        return lock
    meaning, arguments, names = _BY_NAME.get(method, ("", 0, ()))
    last = (owner or "").rpartition(".")[2].lower()
    if meaning and count == arguments and (last.endswith(names) or last == "q"):
        return meaning
    return _BY_METHOD.get(method, name)
