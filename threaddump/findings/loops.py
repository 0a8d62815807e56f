"""Threads that many others depend on every moment: event loops, and who holds Python's interpreter lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from threaddump.classify import WANTS_GIL
from threaddump.findings.facts import KIND_WORDS, Facts, of_crew, short
from threaddump.findings.runtime import BLOCKED, Shared, stacks
from threaddump.report import Finding, Severity

CALLBACK, ASYNCIO = "asyncio/events.py:_run", "asyncio/base_events.py:_run_once"
RUNNER = "asyncio/runners.py:run"
"""Stands directly below the coroutines where the loop is written in C, as uvloop is."""
OFF_THE_LOOP = {
    "trio/_core/_run.py:unrolled_run": "await trio.to_thread.run_sync(...)",
    "twisted/internet/base.py:mainLoop": "twisted.internet.threads.deferToThread(...)",
}
"""How other loops than asyncio's hand a call to a thread, by the frame that runs everything."""
LOOPS = frozenset(OFF_THE_LOOP)
"""They call what they run, and also what waits for events, which is idle."""
TRANSPORTS = (
    "asyncio/selector_events.py:",
    "asyncio/sslproto.py:",
    "asyncio/proactor_events.py:",
    "asyncio/unix_events.py:",
)
"""The loop's own use of sockets, which does not block."""
SUSPENDED = ("py.task.", "py.asyncio.")
"""Entries of what a suspended task waits for: in a thread's stack their frames run."""
GEVENT_BLOCKED = "appears to be blocked"
"""The words of gevent's monitor for a thread whose loop does not get on; its greenlets show where."""
JVM_LOOPS = (
    "netty.channel.nio.NioEventLoop.processSelectedKeys",
    "netty.channel.nio.NioIoHandler.processSelectedKeys",
    "netty.channel.epoll.EpollEventLoop.processReady",
    "netty.channel.epoll.EpollIoHandler.processReady",
    "netty.channel.kqueue.KQueueEventLoop.processReady",
    "netty.channel.kqueue.KQueueIoHandler.processReady",
    "netty.util.concurrent.SingleThreadEventExecutor.runAllTasks",
    "netty.util.concurrent.SingleThreadEventExecutor.runAllTasksFrom",
    "org.xnio.nio.WorkerThread.run",
)
"""How frames end (Netty is often shaded) below which an event loop handles events. Vert.x and Reactor run on Netty."""
TAKE_GIL = "native:take_gil"
GIL_WAITERS = 3


def event_loop_blocked(facts: Facts) -> Iterable[Finding]:
    """A thread that runs an event loop is in a call that blocks: nothing else on this loop is served meanwhile."""
    loops: set[int] = set()
    guesses: set[int] = set()
    for shared in stacks(facts):
        if facts.dump.family == "python":
            loops.update(i for i in shared.threads if facts.dump.threads[i].printed_state == GEVENT_BLOCKED)
            if _runs_callback(shared.keys):
                loops.update(index for index in shared.threads if _blocks(facts, index, shared))
                guesses.update(index for index in shared.threads if _blocks_in_c(facts, index, shared))
        elif any(key.endswith(JVM_LOOPS) for key in shared.keys):
            loops.update(index for index in shared.threads if facts.verdicts[index].kind in BLOCKED)
    by_group: dict[int, list[int]] = defaultdict(list)
    for index in sorted(loops | guesses):
        by_group[facts.group_of[index]].append(index)
    for threads in by_group.values():
        yield _blocked(facts, threads, sure=threads[0] in loops)


def _runs_callback(keys: Sequence[str]) -> bool:
    """Whether a callback or a task's step is being run, as opposed to the loop that selects."""
    python = [key for key in keys if not key.startswith("native:")]
    return any(
        (above == CALLBACK and below == ASYNCIO)
        or (below == RUNNER and not above.startswith("asyncio/"))
        or below in LOOPS
        for above, below in pairwise(python)
    )


def _blocks(facts: Facts, index: int, shared: Shared) -> bool:
    verdict = facts.verdicts[index]
    if verdict.kind not in BLOCKED or (verdict.entry is not None and verdict.entry.id.startswith(SUSPENDED)):
        return False
    for key in shared.keys:
        if not facts.classifier.is_platform(key):
            break
        if key.startswith(TRANSPORTS):
            return False
    return True


def _blocks_in_c(facts: Facts, index: int, shared: Shared) -> bool:
    """The thread is off the CPU, and the frame on top is the application's: a C function below it waits."""
    verdict = facts.verdicts[index]
    return (
        verdict.kind == "unknown"
        and facts.dump.threads[index].state == "IDLE"
        and bool(verdict.app_frames)
        and shared.keys[0] == verdict.app_frames[0]
    )


def _blocked(facts: Facts, threads: list[int], sure: bool) -> Finding:
    verdict = facts.verdicts[threads[0]]
    # File access takes a moment in any loop, and one dump cannot tell a moment from an outage.
    severity: Severity = "low" if not sure else "medium" if verdict.kind == "io" else "high"
    place = short(verdict.caller or verdict.blocking_frame)
    name = facts.dump.threads[threads[0]].label
    who = f'event loop "{name}" is' if name else "an event loop is"
    if len(threads) > 1:
        who = f"{len(threads)} event loops are"
    doing = KIND_WORDS[verdict.kind] if sure else "off the CPU in a C function that this dump does not name"
    if facts.dump.format == "gevent":
        doing = f"{doing}, and gevent's monitor saw no greenlet switch for longer than it may take"
        advice = "use a form of the call that lets other greenlets run (gevent.monkey.patch_all() before all imports), "
        advice += "or a thread: gevent.get_hub().threadpool.apply(...)"
        find = "how long it may take: GEVENT_MAX_BLOCKING_TIME (0.1 seconds unless set)"
    elif facts.dump.family == "python":
        keys = [facts.classifier.key(frame) for frame in facts.dump.threads[threads[0]].stack]
        off = next((words for loop, words in OFF_THE_LOOP.items() if loop in keys), "await asyncio.to_thread(...)")
        advice = f"await an asynchronous form of the call, or move it off the loop: {off}"
        find = "find such calls early: PYTHONASYNCIODEBUG=1 logs callbacks that take longer than 100 ms"
        if LOOPS.intersection(keys):
            find = "one dump is one moment: see in a second one that it is the same call"
    else:
        advice = "hand blocking calls to a pool of workers (subscribeOn a boundedElastic scheduler, executeBlocking)"
        find = "find such calls early: BlockHound in tests, Vert.x's blocked thread checker"
    return facts.finding(
        "event-loop-blocked",
        severity,
        f"{who} {'' if sure else 'probably '}blocked in {place}",
        f"{'It is' if len(threads) == 1 else 'They are'} {doing} (in {short(verdict.blocking_frame)}). A loop serves "
        "many connections one after the other: all of them wait for this call.",
        threads,
        [advice, find],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def gil_held(facts: Facts) -> Iterable[Finding]:
    """One thread computes with the interpreter lock, and several others have work but wait for that lock."""
    holders = [index for index, thread in enumerate(facts.dump.threads) if thread.gil]
    if len(holders) != 1:
        return
    holder = facts.verdicts[holders[0]]
    computing = holder.kind == "running" or (holder.kind == "unknown" and bool(holder.app_frames))
    waiting = [index for shared in stacks(facts) if _wants_gil(shared.keys) for index in shared.threads]
    waiting += [i for i, t in enumerate(facts.dump.threads) if WANTS_GIL.search(t.printed_state or "")]
    waiting = sorted({*waiting} - {*holders})
    if not computing or len(waiting) < GIL_WAITERS:
        return
    name, place = facts.dump.threads[holders[0]].label, short(holder.caller or holder.blocking_frame)
    yield facts.finding(
        "gil-held",
        "medium",
        f'{of_crew(waiting, facts.crew(waiting))} wait for the interpreter lock; "{name}" holds it in {place}',
        f"The holder is in {short(holder.blocking_frame)}. Python code runs on one core at a time, and a C function (a "
        "regular expression, a JSON decoder) keeps the lock to its end. Take a second dump: if the holder is the "
        "same, it is the cause; if not, these threads have more to compute than one core does.",
        [holders[0], *waiting],
        [
            "move computation to processes, or to a library that releases the lock",
            "what computes: py-spy top --gil --pid PID",
        ],
    )


def _wants_gil(keys: Sequence[str]) -> bool:
    """Whether the C frames on top of the stack wait for the interpreter lock."""
    for key in keys:
        if not key.startswith("native:"):
            return False
        if key.startswith(TAKE_GIL):
            return True
    return False
