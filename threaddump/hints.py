"""What the report ends with: the exact command for a dump that says what this one leaves open.

A hint is a rule: what is missing from this dump, and matters to what was found in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from threaddump.findings.facts import Facts
from threaddump.groups import QUIET
from threaddump.merge import NEAR_S
from threaddump.report import SEVERITIES, Finding
from threaddump.waits.owners import listed_with_l
from threaddump_parsers.model import Dump

Rule = Callable[[Facts], Iterator[str]]
PAUSE = 10
"""Seconds between the dumps of a series: a slow call has ended by then."""
_CROWD = 3
"""Threads in one call that make it worth a look at what they call."""
_UNDATED = frozenset(("py-spy", "py-spy-json", "faulthandler", "traceback"))
"""Formats that print no time."""
_CAPTURED = _UNDATED | {"pystack", "profiling-sampling", "gdb-py"} | {
    "hotspot", "jcmd-json", "jcmd-plain", "threadmxbean", "actuator", "javacore",
}  # fmt: skip
"""Formats of which a process may still be there, and which ``threaddump capture`` can ask."""
_SHELL_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*").fullmatch


def hints(facts: Facts, merged: bool = False) -> list[str]:
    """Commands that would answer what this dump leaves open, each behind what it would show.

    ``merged`` dumps have been given with their other half, the one with the virtual threads.
    """
    return [hint for rule in RULES if not (merged and rule is _virtual_threads) for hint in rule(facts)]


def series_hint(dump: Dump, findings: list[Finding]) -> str | None:
    """The command for more dumps of the process, where something in this one looks stuck.

    A format without a time leaves it open whether two equal dumps are one: a capture says when it was taken.
    """
    if not any(SEVERITIES.index(finding.severity) <= SEVERITIES.index("medium") for finding in findings):
        return None
    if dump.os is not None or (dump.format in _UNDATED and dump.orchestrator is None):
        loop = f"threaddump capture {_pid(dump)} --count 3 --interval {PAUSE}s"
    else:
        command, file = _again(dump)
        inside = command if file is None else f"{command} > dump-$i.{file}"
        loop = f"for i in 1 2 3; do {inside}; sleep {PAUSE}; done"
    return f"three dumps, {PAUSE} s apart, tell stuck from slow: {loop}"


def _again(dump: Dump) -> tuple[str, str | None]:
    """The command that took this dump, and the ending of a file for its output, if it prints it."""
    pid, where = _pid(dump), _where(dump)
    if dump.format == "jcmd-json":
        return f"{where}jcmd {pid} Thread.dump_to_file -format=json /tmp/dump-$i.json", None
    if dump.format == "jcmd-plain":
        return f"{where}jcmd {pid} Thread.dump_to_file -format=plain /tmp/dump-$i.txt", None
    if dump.format == "actuator":
        return "curl -s http://HOST:PORT/actuator/threaddump", "json"
    if dump.format == "art":
        return f"adb shell kill -3 {pid}", None
    if dump.family == "jvm":
        return f"{where}jcmd {pid} Thread.print -l -e", "txt"
    if dump.format == "pystack":
        return f"{where}pystack remote {pid}", "txt"
    if dump.format == "profiling-sampling":
        return f"{where}python -m profiling.sampling dump -a {pid}", "txt"
    if dump.family == "python":
        return f"{where}py-spy dump --pid {pid}", "txt"
    if dump.family == "go":
        return "curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2'", "txt"
    if dump.family == "dotnet":
        return f"{where}dotnet-stack report --process-id {pid}", "txt"
    if dump.format == "sigdump":
        return f"{where}kill -CONT {pid}", None
    return f"{where}gdb -p {pid} -batch -ex 'thread apply all bt'", "txt"


def _pid(dump: Dump) -> str:
    """The process's id where its tools run: in a container it is nearly always the first process."""
    return str(dump.pid) if dump.pid is not None else "1" if dump.orchestrator else "PID"


def _where(dump: Dump) -> str:
    """How to run a command beside the process, as far as the lines around the dump say it."""

    def named(name: str | None, otherwise: str) -> str:
        return name if name and _SHELL_SAFE(name) else otherwise  # names are hostile text, and this is for a shell

    if dump.orchestrator == "kubernetes":
        return f"kubectl exec {named(dump.instance, 'POD')} -c {named(dump.service, 'CONTAINER')} -- "
    if dump.orchestrator == "compose":
        return f"docker compose exec {named(dump.service, 'SERVICE')} "
    return ""


# --- a live process


def _endpoints(facts: Facts) -> Iterator[str]:
    """No runtime prints which address a call waits for, since when, and with which limit; Linux knows."""
    dump = facts.dump
    if dump.os is not None or dump.orchestrator is not None or dump.format not in _CAPTURED:
        return
    if any(group.kind == "external-call" and len(group.threads) >= _CROWD for group in facts.groups):
        yield f"address, age and timeout of each call (Linux): threaddump capture {_pid(dump)}"


def _unreadable_calls(facts: Facts) -> Iterator[str]:
    """The kernel tells the peer of a call only to those who may trace the process."""
    known = facts.dump.os
    if known is None or known.process.get("calls_readable") is not False:
        return
    if any(verdict.kind in {"external-call", "unknown"} for verdict in facts.verdicts):
        yield (
            "address, age and timeout of each call: as root, in a container with the capability SYS_PTRACE: "
            f"threaddump capture {_pid(facts.dump)}"
        )


# --- the JVM


def _thread_print(dump: Dump) -> str:
    return f"{_where(dump)}jcmd {_pid(dump)} Thread.print -l -e"


def _lock_owners(facts: Facts) -> Iterator[str]:
    """Only ``-l`` makes HotSpot print who owns a lock of ``java.util.concurrent``."""
    if facts.dump.format != "hotspot":
        return
    if any(lock.owner is None and listed_with_l(lock.class_name, facts.dump) for lock in facts.waits.locks):
        yield f"owners of java.util.concurrent locks: {_thread_print(facts.dump)}"


def _virtual_threads(facts: Facts) -> Iterator[str]:
    """HotSpot's text has only mounted virtual threads; the thread that wakes them is there once one has waited."""
    dump = facts.dump
    used = any(thread.carries is not None or thread.name.startswith("VirtualThread-unpark") for thread in dump.threads)
    if dump.format in {"hotspot", "threadmxbean", "actuator"} and used:
        yield (
            "virtual threads are not in this dump: "
            f"{_where(dump)}jcmd {_pid(dump)} Thread.dump_to_file -format=json /tmp/threads.json"
        )


def _states(facts: Facts) -> Iterator[str]:
    """``Thread.dump_to_file`` of JDK 21 to 23 prints neither states nor locks."""
    dump = facts.dump
    if dump.format in {"jcmd-json", "jcmd-plain"} and all(thread.state is None for thread in dump.threads):
        yield f"states and locks of the platform threads: {_thread_print(dump)}"


def _lock_owners_elsewhere(facts: Facts) -> Iterator[str]:
    """``dump_to_file`` names no owners of locks of ``java.util.concurrent``; the text of the same moment does."""
    dump = facts.dump
    if dump.format in {"jcmd-json", "jcmd-plain"} and any(
        lock.owner is None and lock.type != "pool" for lock in facts.waits.locks
    ):
        yield (
            f"owners of locks that platform threads hold: {_thread_print(dump)} > TEXT within {NEAR_S:.0f} seconds of "
            "this one, then name both: they are read as one"
        )


def _whole_stacks(facts: Facts) -> Iterator[str]:
    """``ThreadInfo.toString`` prints 8 frames: the caller is often below them."""
    dump = facts.dump
    if dump.format in {"threadmxbean", "actuator"} and any(thread.truncated for thread in dump.threads):
        yield f"whole stacks: {_thread_print(dump)}"


def _serviceability_agent(facts: Facts) -> Iterator[str]:
    """It reads the memory of a stopped process: names, states and locks are missing in places."""
    dump = facts.dump
    if dump.format == "hotspot-sa":
        if not dump.ownable_synchronizers and any(thread.java_id is not None for thread in dump.threads):
            yield f"owners of java.util.concurrent locks: jhsdb jstack --locks --pid {_pid(dump)}"
        yield f"if the JVM still answers, its own dump says more: {_thread_print(dump)}"


# --- Python


def _unknown(facts: Facts) -> bool:
    """Whether it is open what some thread waits for: a call into C, most often."""
    return any(verdict.kind == "unknown" for verdict in facts.verdicts)


def _untimed(facts: Facts) -> bool:
    """Whether it is open if a call to another process has a timeout."""
    return any(group.kind in {"external-call", "pool-wait"} and group.timed is None for group in facts.groups)


def _python_options(facts: Facts) -> Iterator[str]:
    """Native frames and local variables, where the dump has none and something is open."""
    dump = facts.dump
    if dump.family != "python" or dump.format in {"gdb-py", "asyncio"}:
        return
    options = []
    if _unknown(facts) and not any(frame.native for thread in dump.threads for frame in thread.stack):
        options.append(("what a C call waits for", "--native"))
    if _untimed(facts) and not any(thread.locals for thread in dump.threads):
        options.append(("timeouts and pool objects", "--locals"))
    if dump.format == "faulthandler" and dump.truncated:
        options.insert(0, ("all threads with their names", ""))
    if dump.format == "profiling-sampling":
        options = [option for option in options if option[1] == "--native"]
    if not options:
        return
    what = ", ".join(what for what, _ in options)
    flags = "".join(f" {flag}" for _, flag in options if flag)
    where, pid = _where(dump), _pid(dump)
    if dump.format == "pystack":
        yield f"{what}: {where}pystack remote{flags} {pid}"
    elif dump.format == "profiling-sampling":
        yield f"{what}: {where}python -m profiling.sampling dump -a{flags} {pid}"
    else:
        yield f"{what}: {where}py-spy dump{flags} --pid {pid}"


def _sources(facts: Facts) -> Iterator[str]:
    """With the source at hand the line tells what a call into C is, and which lock it takes."""
    if facts.dump.family != "python" or facts.dump.format == "asyncio" or facts.has_sources:
        return
    if _unknown(facts) or any(convoy.owner is None for convoy in facts.waits.graph.convoys):
        yield "what C calls wait for, and who holds a lock: threaddump analyze --source-root DIR FILE"


def _wait_reasons(facts: Facts) -> Iterator[str]:
    """Go's profile of goroutines (debug=1) has no states."""
    dump = facts.dump
    if dump.format == "goroutine" and dump.threads and not any(thread.state for thread in dump.threads):
        yield "what each goroutine waits for, and how long: curl 'HOST:PORT/debug/pprof/goroutine?debug=2'"


def _monitors(facts: Facts) -> Iterator[str]:
    """dotnet-stack prints no locks."""
    if facts.dump.format == "dotnet-stack" and any(verdict.kind == "lock-wait" for verdict in facts.verdicts):
        yield "owners of monitors: dotnet-dump analyze FILE -c syncblk"


def _gdb(facts: Facts) -> Iterator[str]:
    """gdb's ``bt`` of Python 3.11 and later has C frames alone, its ``py-bt`` Python's alone."""
    dump = facts.dump
    if dump.format != "gdb-py" or not _unknown(facts):
        return
    py_spy = f"{_where(dump)}py-spy dump --native --pid {_pid(dump)}"
    if all(frame.native for thread in dump.threads for frame in thread.stack):
        yield f"which Python function called: {py_spy}, or gdb's thread apply all py-bt"
    else:
        yield f"what a C call waits for: {py_spy}"


def _tasks(facts: Facts) -> Iterator[str]:
    """A list of asyncio's tasks does not show the loop's own thread."""
    dump = facts.dump
    if dump.format != "asyncio":
        return
    yield f"what runs or blocks the loop's thread: {_where(dump)}py-spy dump --pid {_pid(dump)}"
    suspended = (thread.state == "IDLE" for thread in dump.threads)
    if any(verdict.kind == "unknown" and idle for verdict, idle in zip(facts.verdicts, suspended, strict=True)):
        sources = "" if facts.has_sources else "threaddump analyze --source-root DIR FILE; "
        shown = f"{_where(dump)}python -m asyncio pstree {_pid(dump)}"
        yield f"what a suspended task waits for: {sources}from Python 3.14, {shown}"


def _greenlets(facts: Facts) -> Iterator[str]:
    """A stack of the thread shows the greenlet that runs: where that is the hub, all the others wait unseen."""
    if facts.dump.format != "gevent" and _entries(facts, ("py.gevent.hub", "py.eventlet.hub")):
        yield (
            "greenlets that wait are not in this dump: a signal handler that calls gevent.util.print_run_info() prints "
            "them, or GEVENT_MONITOR_THREAD_ENABLE=1 at the start"
        )


def _suspended(facts: Facts) -> Iterator[str]:
    """An idle loop says nothing about its tasks, which may all wait for one peer; threads may tell what is wrong."""
    dump = facts.dump
    quiet = all(verdict.kind in QUIET or verdict.kind == "sync-wait" for verdict in facts.verdicts)
    if dump.format != "asyncio" and quiet and _entries(facts, ("py.asyncio.idle", "py.uvloop")):
        yield (
            "tasks that wait are not in this dump: from Python 3.14 "
            f"{_where(dump)}python -m asyncio pstree {_pid(dump)}; before, a signal handler that calls print_stack() "
            "of each of asyncio.all_tasks()"
        )


def _entries(facts: Facts, ids: tuple[str, ...]) -> bool:
    return any(verdict.entry is not None and verdict.entry.id in ids for verdict in facts.verdicts)


RULES: tuple[Rule, ...] = (
    _lock_owners,
    _virtual_threads,
    _states,
    _lock_owners_elsewhere,
    _whole_stacks,
    _serviceability_agent,
    _unreadable_calls,
    _python_options,
    _wait_reasons,
    _monitors,
    _gdb,
    _sources,
    _tasks,
    _greenlets,
    _suspended,
    _endpoints,
)
