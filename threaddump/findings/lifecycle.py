"""From start to end: a start-up that does not get on, a server without an acceptor, a process that does not end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from threaddump.findings.facts import KIND_WORDS, Facts, short
from threaddump.findings.runtime import BLOCKED, threads_with
from threaddump.report import Finding

START_UP = (
    "org.springframework.context.support.AbstractApplicationContext.refresh",
    "org.springframework.web.context.ContextLoaderListener.contextInitialized",
    "org.apache.catalina.core.StandardContext.startInternal",
    "org.apache.catalina.startup.Catalina.load",
    "org.eclipse.jetty.server.Server.doStart",
    "io.quarkus.runtime.Application.start",
    "io.micronaut.context.DefaultBeanContext.start",
    "org.flywaydb.core.Flyway.migrate",
    "liquibase.Liquibase.update",
    "org.hibernate.boot.internal.SessionFactoryBuilderImpl.build",
)
"""Frames below which a server or a framework is being started."""
IMPORTING = ("importlib._bootstrap>:_load_unlocked", "importlib._bootstrap_external>:exec_module")
"""How the keys of Python's frames end below which a module's own code runs."""
LONG_START_S = 60
"""From this age of the process on, a start-up that waits is more than a moment."""
TOMCAT_WORKER = re.compile(r"((?:https?|ajp)-(?:(?:jsse|openssl)-)?(nio|apr|bio)-.+)-exec-\d+")
"""Name of a worker of a Tomcat connector that has an acceptor thread of its own; nio2 has none."""
TOMCAT_WORKER_FRAMES = ("org.apache.tomcat.", "org.apache.coyote.", "org.apache.catalina.")
LEFTOVERS = 20
"""Threads that may be a leftover; more of them are what the process is for."""
RESTING = frozenset({"executor", "timer"})
"""Systems of the entries of workers that wait for work; who waits for a connection or a message has a purpose."""
SHUTDOWN = frozenset(
    {
        "java.lang.Shutdown.exit",
        "java.lang.Shutdown.halt",
        "java.lang.Shutdown.halt0",
        "java.lang.Shutdown.runHooks",
        "java.lang.Shutdown.sequence",
        "java.lang.Shutdown.shutdown",
        "java.lang.ApplicationShutdownHooks.runHooks",
    }
)
"""Frames of the end itself; registering a hook (``Shutdown.add``) is none of them."""
PYTHON_SHUTDOWN = frozenset({"threading.py:_shutdown", "concurrent/futures/thread.py:_python_exit"})


def start_up_blocked(facts: Facts) -> Iterable[Finding]:
    """The thread that starts the application waits for something: nothing is served before it gets on."""
    test = _python_start if facts.dump.family == "python" else _jvm_start
    age = max((thread.elapsed_s or 0 for thread in facts.dump.threads), default=0)
    for index in threads_with(facts, test):
        verdict = facts.verdicts[index]
        if verdict.kind not in BLOCKED or index in facts.request_threads:
            continue
        since = f" The process is {age:,.0f} s old." if age else ""
        yield facts.finding(
            "start-up-blocked",
            "medium" if age >= LONG_START_S else "low",
            f'the start-up is {KIND_WORDS[verdict.kind]}: "{facts.dump.threads[index].label}" in '
            f"{short(verdict.caller or verdict.blocking_frame)}",
            f"The application is still being started, and this thread is in {short(verdict.blocking_frame)}. Until it "
            f"gets on, nothing is served.{since}",
            [index],
            [
                "look at what it waits for: a database, a lock of a schema migration, a configuration server",
                "bound it (a timeout at start-up), so that an instance that cannot start ends with an error",
            ],
            group=facts.groups[facts.group_of[index]].id,
        )


def _jvm_start(keys: Sequence[str]) -> bool:
    # Spring's runners are the application itself: a batch job is no start-up.
    return any(key in START_UP for key in keys) and not any(
        key.startswith("org.springframework.boot.SpringApplication.callRunner") for key in keys
    )


def _python_start(keys: Sequence[str]) -> bool:
    """The code of a module is running for an import, on the main thread: no thread was started below it."""
    return any(key.endswith(IMPORTING) for key in keys) and not keys[-1].startswith("threading.py:")


def acceptor_missing(facts: Facts) -> Iterable[Finding]:
    """A connector of Tomcat has its workers, and its acceptor thread is gone: nobody takes new connections."""
    if facts.dump.truncated or threads_with(facts, lambda keys: not SHUTDOWN.isdisjoint(keys)):
        return
    names = [thread.name for thread in facts.dump.threads]
    workers: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        match = TOMCAT_WORKER.fullmatch(name)
        if match is not None:
            workers.setdefault(match[1], []).append(index)
    whole = any(thread.internal for thread in facts.dump.threads)  # an excerpt shows a few threads of its choice
    for connector, found in workers.items():
        if not whole or any(name.startswith(f"{connector}-Acceptor") for name in names):
            continue
        stack = facts.dump.threads[found[0]].stack
        if not any(frame.function.startswith(TOMCAT_WORKER_FRAMES) for frame in stack):
            continue  # another pool with such a name
        yield facts.finding(
            "acceptor-missing",
            "high",
            f"{connector} has {len(found)} workers and no acceptor: it takes no new connections",
            "A connector of Tomcat accepts connections in one thread of its own, and that is not in the dump. It may "
            "have died of an error (OutOfMemoryError, too many open files), or the connector is being stopped or not "
            "yet started.",
            found,
            [
                "look in the log for an error of this thread (Acceptor, or Socket accept failed)",
                "see whether connections queue: ss -ltn, the Recv-Q of the port",
            ],
            ["restart of this instance: a dead acceptor does not come back"],
        )


def kept_alive(facts: Facts) -> Iterable[Finding]:
    """``main`` has returned, and only idle workers that are no daemons keep the process from ending.

    A server looks like that too, but for the threads that wait for its connections or messages.
    """
    threads = facts.dump.threads
    ended = any(thread.name == "DestroyJavaVM" for thread in threads)
    if not ended or any(thread.daemon is None and not thread.internal for thread in threads):
        return
    rest = [i for i, t in enumerate(threads) if t.daemon is False and not t.internal and t.name != "DestroyJavaVM"]
    if not 0 < len(rest) <= LEFTOVERS or any(facts.verdicts[index].kind != "idle" for index in rest):
        return
    if any(v.kind == "idle" and (v.entry is None or v.entry.system not in RESTING) for v in facts.verdicts):
        return
    one = len(rest) == 1
    yield facts.finding(
        "kept-alive",
        "info",
        f"main has ended, and {len(rest)} idle thread{'s' * (not one)} keep{'s' * one} the process alive",
        f"{'It is no daemon' if one else 'They are no daemons'}, and wait{'s' * one} for work in an executor or a "
        "timer. If nothing is to come, the process does not end by itself.",
        rest,
        ["shut the executor down where the work ends (close; cancel for a Timer), or make its threads daemons"],
    )


def shutdown_in_progress(facts: Facts) -> Iterable[Finding]:
    """The process is ending: hooks run, or Python's main thread has ended and waits for the others.

    ``DestroyJavaVM`` alone says only that ``main`` has returned, as it does in most servers.
    """
    if facts.dump.family == "jvm":
        threads = threads_with(facts, lambda keys: not SHUTDOWN.isdisjoint(keys))
        detail = "Shutdown hooks run in threads of their own and are waited for, without a timeout."
        # The thread that runs the hooks joins one after the other: the object it waits on is the hook's thread.
        objects = (facts.dump.threads[index].waiting_on for index in threads)
        hooks = [lock.class_name for lock in objects if lock is not None and lock.class_name != "java.lang.Thread"]
        if hooks:
            detail += f" One is waited for now: a {hooks[0]}."
        advice = "if it does not end: look for the hook's thread (often Thread-N or named after its framework)"
    else:
        threads = threads_with(facts, lambda keys: not PYTHON_SHUTDOWN.isdisjoint(keys))
        alive = [i for i, t in enumerate(facts.dump.threads) if t.daemon is not True and i not in threads]
        if not alive:
            return
        names = ", ".join(f'"{name}"' for name in facts.names(alive[:3]))
        others = "1 other is alive" if len(alive) == 1 else f"{len(alive)} others are alive"
        detail = f"The main thread has ended and waits for threads that are no daemons; {others}: {names}."
        advice = "if it is meant to end: stop the workers first (an event or a poison pill), or make them daemons"
    if threads:
        yield facts.finding(
            "shutdown-in-progress",
            "info",
            "the process is shutting down" if facts.dump.family == "jvm" else "the main thread has ended",
            detail,
            threads,
            [advice],
        )


def queue_not_drained(facts: Facts) -> Iterable[Finding]:
    """A process of ``multiprocessing`` ends only when all that it put into its queues is written to their pipes."""
    threads = [i for i, v in enumerate(facts.verdicts) if v.entry is not None and v.entry.id == "py.mp.queue.flush"]
    if not threads:
        return
    feeders = threads_with(facts, lambda keys: "multiprocessing/queues.py:_feed" in keys)
    yield facts.finding(
        "queue-not-drained",
        "medium",
        "the process cannot end: what it has put into a multiprocessing.Queue is not read",
        "A pipe holds about 64 KiB; the rest waits in the QueueFeederThread until somebody takes from the queue. A "
        "parent that joins this process before it has read the queue waits for ever, and so does this one.",
        [*threads, *feeders],
        [
            "take everything from the queue before join(), as the documentation of multiprocessing asks for",
            "if what is left may be lost: queue.cancel_join_thread() in the child",
        ],
        ["read the queue empty in the process that holds its other end, or kill this one: what it put is lost then"],
        group=facts.groups[facts.group_of[threads[0]]].id,
    )
