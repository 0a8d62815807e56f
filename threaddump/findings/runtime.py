"""What the runtime itself suffers from: finalizers, memory, exceptions, runaway recursion."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from threaddump.findings.facts import KIND_WORDS, Facts, of_crew, short
from threaddump.report import Evidence, Finding, Severity
from threaddump_parsers.model import Stack

BLOCKED = frozenset({"lock-wait", "external-call", "io", "sleep", "sync-wait", "pool-wait", "queue-put"})
"""Kinds of a thread that gets no further until something else happens."""
REFERENCE_THREADS = frozenset({"Finalizer", "Finalizer thread", "Reference Handler", "Common-Cleaner"})
EXCEPTION = re.compile(r"java\.lang\.Throwable\.fillInStackTrace|.*(?:Exception|Error|Throwable)\.<init>")
OUT_OF_MEMORY = "java.lang.OutOfMemoryError.<init>"
OUT_OF_MEMORY_EVENT = "java/lang/OutOfMemoryError"
PINNED_PARK = "java.lang.VirtualThread.parkOnCarrierThread"
"""Frame of a virtual thread that parks and cannot leave its carrier."""
PINNED_ADVICE = "do not block below a static initialiser or a native call; before JDK 24 also not in synchronized"
DEEP = 300
BLOCK = 10
"""Frames of the longest cycle that is searched for."""
REPEATS = 20
RUNAWAY = 50
"""Repeats from which a running recursion is no longer a walk over a tree."""
TOP = 30
"""Frames from the top within which a recursion has to begin."""


@dataclass(slots=True, eq=False)
class Shared:
    """A stack and the threads that have it."""

    stack: Stack
    keys: tuple[str, ...]
    threads: list[int] = field(default_factory=list)


@lru_cache(maxsize=1)
def stacks(facts: Facts) -> list[Shared]:
    """The distinct stacks of a dump: parsers intern them, so each is looked at once."""
    found: dict[int, Shared] = {}
    key = facts.classifier.key
    for index, thread in enumerate(facts.dump.threads):
        shared = found.get(id(thread.stack))
        if shared is None:
            shared = found[id(thread.stack)] = Shared(thread.stack, tuple(map(key, thread.stack)))
        shared.threads.append(index)
    return list(found.values())


def threads_with(facts: Facts, test: Callable[[Sequence[str]], object]) -> list[int]:
    """The threads whose stack passes the test, in the order of the dump."""
    return sorted(index for shared in stacks(facts) if test(shared.keys) for index in shared.threads)


def process_died(facts: Facts) -> Iterable[Finding]:
    """The dump is of a process that crashed or was killed: what it died of, and where."""
    dump = facts.dump
    if dump.died is None:
        return
    holder = next((thread for thread in dump.threads if thread.gil), None)
    thread = dump.died_in or holder
    threads = [index for index, each in enumerate(dump.threads) if each is thread]
    if dump.died_in is not None:
        detail = f'"{dump.died_in.label}" is the thread in which it happened.'
    elif holder is not None:
        detail = f'The dump does not say in which thread; "{holder.label}" held the interpreter lock.'
    else:
        detail = "The dump does not say in which thread."
    where = short(facts.verdicts[threads[0]].caller or facts.verdicts[threads[0]].blocking_frame) if threads else ""
    yield facts.finding(
        "process-died",
        "high",
        f"the process died: {dump.died}" + f" (in {where})" * bool(thread is dump.died_in and where),
        f"{detail} All other threads show what they did at that moment: their waits did not kill it.",
        threads,
        [
            "the C code below the innermost Python frame is the suspect: an extension module, or ctypes",
            "its C frames: pystack core FILE --native, or gdb PROGRAM FILE and thread apply all bt",
        ],
    )


def finalizer_stuck(facts: Facts) -> Iterable[Finding]:
    """A thread that finalizes or cleans is stuck in it: nothing after it is freed, until memory runs out.

    At rest it waits in ``java.lang.ref``. Where it runs application code it may just be at work: that is worth less.
    """
    if facts.dump.family != "jvm":
        return
    for index, (thread, verdict) in enumerate(zip(facts.dump.threads, facts.verdicts, strict=True)):
        if thread.name not in REFERENCE_THREADS or not (verdict.kind in BLOCKED or verdict.kind == "running"):
            continue
        top = next((frame.function for frame in thread.stack if not frame.function.startswith("java.lang.Object.")), "")
        if top.startswith("java.lang.ref."):
            continue  # it hands references over, or gets back into its queue's monitor
        blocked = verdict.kind in BLOCKED
        yield facts.finding(
            "finalizer-stuck",
            "high" if blocked else "medium",
            f'"{thread.name}" is {KIND_WORDS[verdict.kind]} in {short(verdict.caller or verdict.blocking_frame)}',
            "It runs finalizers and cleaners one after the other"
            + (
                ": while it is stuck, no other object is freed, and memory runs out."
                if blocked
                else "; in one dump this may be normal work: compare with a second dump."
            ),
            [index],
            [
                "do not lock, wait or call out in finalize() or a Cleaner's action: close resources where used",
                *["watch the number of pending finalizers: jcmd PID GC.finalizer_info"]
                * (facts.dump.format not in {"javacore", "jrockit"}),
            ],
            group=facts.groups[facts.group_of[index]].id,
        )


def out_of_memory(facts: Facts) -> Iterable[Finding]:
    """A thread creates an ``OutOfMemoryError``, or one made the JVM write this dump: the rest may follow from it."""
    threads = threads_with(facts, lambda keys: OUT_OF_MEMORY in keys)
    event = facts.dump.event
    wrote = event if event is not None and OUT_OF_MEMORY_EVENT in event.text else None
    if not threads and wrote is None:
        return
    detail = [
        *([_why_memory(wrote.text)] if wrote is not None else []),
        *(["The frame of its constructor is on the stack."] if threads else []),
        "Other waits in this dump may only follow from it: "
        "a thread that died of it may have left locks and slots behind.",
    ]
    finding = facts.finding(
        "out-of-memory",
        "high",
        f"{of_crew(threads, None)} {'throw' if len(threads) != 1 else 'throws'} OutOfMemoryError"
        if threads
        else "the JVM wrote this dump because of an OutOfMemoryError",
        " ".join(detail),
        threads,
        _memory_advice(facts),
        ["restart of this process: after an OutOfMemoryError its state is not to be trusted"],
    )
    if wrote is not None:
        finding.evidence.insert(0, Evidence(None, wrote.line, wrote.text))
    yield finding


def _why_memory(event: str) -> str:
    """What was exhausted, as the JVM said it."""
    why = re.search(r'OutOfMemoryError" "([^"]{1,200})"', event)
    return f"The JVM wrote this dump when one was thrown{f': {why[1]}' if why else ''}."


def _memory_advice(facts: Facts) -> list[str]:
    if facts.dump.format == "javacore":
        return [
            "what fills the heap: the heap dump (heapdump.*.phd) or core that the JVM wrote at the same time; the "
            "section MEMINFO of this file tells how full it was",
            "native memory: the section NATIVEMEMINFO of this file",
        ]
    return [
        "what fills the heap: jcmd PID GC.class_histogram, or a heap dump with jcmd PID GC.heap_dump FILE",
        "next time, a dump and an end: -XX:+HeapDumpOnOutOfMemoryError -XX:+ExitOnOutOfMemoryError",
    ]


def exceptions_thrown(facts: Facts) -> Iterable[Finding]:
    """Many running threads are building exceptions: an error storm, or exceptions as control flow."""
    if facts.dump.family != "jvm":
        return
    threads = [
        index
        for index in threads_with(facts, lambda keys: any(map(EXCEPTION.fullmatch, keys[:BLOCK])))
        if facts.verdicts[index].kind == "running"
    ]
    if len(threads) < 5:
        return
    share, crew = facts.share(threads)
    types: Counter[str] = Counter()
    for index in threads:
        functions = [frame.function for frame in facts.dump.threads[index].stack[: 2 * BLOCK]]
        made = [function.removesuffix(".<init>") for function in functions if function.endswith(".<init>")]
        # The outermost constructor of the chain is the class that was really thrown.
        made = [name for name in made if name.endswith(("Exception", "Error", "Throwable"))]
        types[short(made[-1]) if made else "of unknown type"] += 1
    kinds = ", ".join(f"{name} ({count})" for name, count in types.most_common(3))
    yield facts.finding(
        "exceptions-thrown",
        "medium" if len(threads) >= 20 and share >= 0.3 else "low",
        f"{of_crew(threads, crew)} are creating exceptions",
        f"They fill in stack traces, which costs more the deeper the stack is: {kinds}.",
        threads,
        [
            "look for the same exception in the log: something that these threads need fails again and again",
            "if they are control flow, do not throw in the hot path, or create them without a stack trace",
        ],
    )


def deep_recursion(facts: Facts) -> Iterable[Finding]:
    """A stack of hundreds of frames, or one whose top repeats a few functions over and over.

    Only a running one with very many repeats is more than a remark: parsers and walks over trees recurse too.
    """
    found: dict[tuple[str, ...], tuple[list[int], int, int]] = {}
    for shared in stacks(facts):
        if len(shared.keys) < REPEATS:
            continue
        block, repeats = _cycle(shared.keys)
        if not block and len(shared.keys) <= DEEP:
            continue
        name = tuple(sorted({facts.classifier.shown(shared.stack[index]) for index in block}))
        threads, most, deepest = found.get(name, ([], 0, 0))
        found[name] = (threads + shared.threads, max(most, repeats), max(deepest, len(shared.keys)))
    for functions, (threads, repeats, frames) in found.items():
        yield _recursion(facts, functions, sorted(threads), repeats, frames)


def _cycle(keys: Sequence[str]) -> tuple[range, int]:
    """The first few functions near the top that repeat, as indexes, and how often they stand there in a row."""
    if len(keys) - len(set(keys)) < REPEATS - 1:
        return range(0), 0
    for size in range(1, BLOCK + 1):
        start = run = 0
        for index in range(len(keys) - size):
            if keys[index] != keys[index + size]:
                if run + size >= size * REPEATS and start <= TOP:
                    break
                start, run = index + 1, 0
                if start > TOP:
                    break
            else:
                run += 1
        if run + size >= size * REPEATS and start <= TOP:
            return range(start, start + size), (run + size) // size
    return range(0), 0


def _recursion(facts: Facts, functions: Sequence[str], threads: list[int], repeats: int, frames: int) -> Finding:
    running = any(facts.verdicts[index].kind == "running" for index in threads)
    runaway = running and bool(functions) and (repeats >= RUNAWAY or frames > DEEP)
    severity: Severity = "medium" if runaway else "low"
    names = ", ".join(map(short, functions))
    one = len(threads) == 1
    who = f'"{facts.dump.threads[threads[0]].label}"' if one else f"{len(threads)} threads"
    who = "a thread" if who == '""' else who
    if functions:
        title = f"{who} {'recurses' if one else 'recurse'} in {names}"
        same = "One function stands" if len(functions) == 1 else f"The same {len(functions)} functions stand"
        detail = f"{same} there {repeats} times in a row, "
    else:
        title = f"{who} {'has' if one else 'have'} a stack of {frames} frames"
        detail = "No block of functions repeats, "
    cut = " or more: the dump cuts stacks" if any(facts.dump.threads[index].truncated for index in threads) else ""
    return facts.finding(
        "deep-recursion",
        severity,
        title,
        f"{detail}in a stack of {frames} frames{cut}.",
        threads,
        ["bound the depth, or walk with a list of what is left to do: this ends in a stack overflow if the data grows"],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )


def carriers_pinned(facts: Facts) -> Iterable[Finding]:
    """Carriers are held by virtual threads that block without letting go; if all are, no other virtual thread runs.

    A virtual thread that blocks leaves its carrier. Where it stays mounted it is pinned, by a native frame, a class's
    initialiser or, before JDK 24, ``synchronized``.
    """
    threads = facts.dump.threads
    carriers = [index for index, thread in enumerate(threads) if thread.carries is not None]
    pools = {facts.crew_names[index] for index in carriers} - {""}
    everyone = [index for index, name in enumerate(facts.crew_names) if name in pools]
    names = {threads[index].name for index in carriers}
    mounted = [index for index, thread in enumerate(threads) if thread.carrier in names]
    all_blocked = len(mounted) == len(carriers) and all(facts.verdicts[index].kind in BLOCKED for index in mounted)
    if len(carriers) >= 2 and len(everyone) == len(carriers) and all_blocked:
        yield _all_pinned(facts, names, mounted)
        return
    pinned = set(mounted).intersection(threads_with(facts, lambda keys: PINNED_PARK in keys))
    pinned.update(index for index in mounted if threads[index].state == "BLOCKED")
    if pinned:
        yield _some_pinned(facts, sorted(pinned), max(len(everyone), len(carriers)))


def _places(facts: Facts, threads: Sequence[int]) -> str:
    verdicts = [facts.verdicts[index] for index in threads]
    return ", ".join(dict.fromkeys(short(verdict.caller or verdict.blocking_frame) for verdict in verdicts))


def _all_pinned(facts: Facts, names: set[str], mounted: list[int]) -> Finding:
    threads = facts.dump.threads
    # A virtual thread has frames from its first step on, also where it was unmounted since.
    ready = [i for i, t in enumerate(threads) if t.virtual and t.state in {"NEW", "RUNNABLE"} and not t.stack]
    many = len(ready) != 1
    return facts.finding(
        "carriers-pinned",
        "high" if ready else "medium",
        f"all {len(names)} carriers of virtual threads are held by threads that block: {_places(facts, mounted)}",
        f"Each of {', '.join(sorted(names)[:3])} carries a virtual thread that is blocked and stays mounted (pinned). "
        "If the scheduler may not start more carriers (by default as many as processors), no other virtual thread "
        "runs."
        + f" {len(ready)} virtual thread{'s are' if many else ' is'} ready to run and without a frame yet."
        * bool(ready),
        [*mounted, *ready],
        [
            PINNED_ADVICE,
            *["all virtual threads, also those that wait: jcmd PID Thread.dump_to_file -format=json FILE"]
            * (facts.dump.format == "hotspot"),
        ],
        group=facts.groups[facts.group_of[mounted[0]]].id,
    )


def _some_pinned(facts: Facts, pinned: list[int], carriers: int) -> Finding:
    one = len(pinned) == 1
    return facts.finding(
        "carriers-pinned",
        "low",
        f"{len(pinned)} of {carriers} carriers of virtual threads {'is' if one else 'are'} held by "
        f"{'a thread that blocks' if one else 'threads that block'}: {_places(facts, pinned)}",
        "A virtual thread that blocks should leave its carrier; pinned, it stays mounted. The other carriers serve "
        "all other virtual threads meanwhile.",
        pinned,
        [PINNED_ADVICE, "find them early: the JFR event jdk.VirtualThreadPinned"],
        group=facts.groups[facts.group_of[pinned[0]]].id,
    )
