"""Dumps taken now, of real processes, by the tools that people use: what they print today is what we read.

A missing tool skips these tests, or fails them where ``THREADDUMP_REQUIRE_TOOLS`` is set.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 40
"""Longest wait for a program to reach its state, or for a tool to answer."""

JAVA = """
import java.util.concurrent.*;
import java.util.concurrent.locks.*;

public class Live {
    static final Object A = new Object(), B = new Object();
    static final ReentrantLock LOCK = new ReentrantLock();

    static void both(Object first, Object second, CountDownLatch holding) throws Exception {
        synchronized (first) {
            holding.countDown();
            holding.await();
            synchronized (second) { System.out.println("never"); }
        }
    }

    static void start(String name, Callable<?> body) {
        Thread thread = new Thread(() -> { try { body.call(); } catch (Exception e) { e.printStackTrace(); } }, name);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] args) throws Exception {
        CountDownLatch holding = new CountDownLatch(2);
        start("dead-1", () -> { both(A, B, holding); return null; });
        start("dead-2", () -> { both(B, A, holding); return null; });
        ExecutorService pool = Executors.newFixedThreadPool(4);
        for (int i = 0; i < 4; i++) pool.submit(() -> 1).get();
        CountDownLatch locked = new CountDownLatch(1);
        start("owner", () -> { LOCK.lock(); locked.countDown(); Thread.sleep(600000); return null; });
        locked.await();
        for (int i = 0; i < 5; i++) start("waiter-" + i, () -> { LOCK.lock(); return null; });
        System.out.println("started");
        Thread.sleep(600000);
    }
}
"""

PYTHON = """
import faulthandler, signal, socket, sys, threading, time

faulthandler.register(signal.SIGUSR1, file=open(sys.argv[2], "w"), all_threads=True)
lock = threading.Lock()
lock.acquire()

def fetch():
    socket.create_connection(("127.0.0.1", int(sys.argv[1]))).recv(1)

def pause():
    time.sleep(600)

def reserve():
    with lock:
        pass

for body in (fetch, pause, reserve):
    threading.Thread(target=body, name=body.__name__, daemon=True).start()
time.sleep(0.3)
print("started", flush=True)
time.sleep(600)
"""


def tool_missing(what: str) -> None:
    if os.environ.get("THREADDUMP_REQUIRE_TOOLS"):
        pytest.fail(f"{what}, and THREADDUMP_REQUIRE_TOOLS is set")
    pytest.skip(what)


def require(name: str) -> str:
    """The path of a tool, of this environment or of the machine; skips the test where there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        tool_missing(f"{name} is not installed")
    assert found is not None
    return found


def started(process: subprocess.Popen[bytes]) -> None:
    """Wait for the line that says that all threads are on their way."""
    assert process.stdout is not None
    line = process.stdout.readline()  # ends with the process at the latest
    assert line.strip() == b"started", f"{line!r}, exit code {process.poll()}"


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def analyzed(text: bytes, *options: str) -> dict[str, Any]:
    run = [sys.executable, "-m", "threaddump", "analyze", "-f", "json", *options]
    done = subprocess.run(run, input=text, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def eventually(look: Callable[[], dict[str, Any]], reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Take dumps until the program has reached its state: threads need a moment to get where they block."""
    deadline = time.monotonic() + SECONDS
    while True:
        report = look()
        if reached(report) or time.monotonic() > deadline:
            return report
        time.sleep(0.2)


def locks(report: dict[str, Any]) -> dict[str, tuple[str | None, int]]:
    """Class to owner and number of waiters."""
    return {lock["class"]: (lock["owner"] and lock["owner"]["thread"], lock["waiters"]) for lock in report["locks"]}


# --- Java


@pytest.fixture(scope="module")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A JVM with two threads in a deadlock, five behind a lock, and an idle pool; and the file it prints to."""
    java = require("java")
    folder = tmp_path_factory.mktemp("jvm")
    source, output = folder / "Live.java", folder / "output.txt"
    source.write_text(JAVA, encoding="utf-8")
    with output.open("wb") as out:
        process = subprocess.Popen([java, "-Xmx64m", "-XX:+UseSerialGC", str(source)], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + SECONDS
        while b"started" not in output.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                tool_missing(f"java cannot run a source file: {output.read_text('utf-8', 'replace')[-300:]}")
            time.sleep(0.1)
        yield process, output
    finally:
        end(process)


def tool(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        tool_missing(f"{Path(command[0]).name} failed: {done.stderr.decode('utf-8', 'replace')[:300]}")
    return done.stdout


def has_waiters(report: dict[str, Any]) -> bool:
    return any(lock["waiters"] == 5 for lock in report["locks"]) and bool(report["deadlocks"])


def check_jvm(report: dict[str, Any], *, owners: bool) -> None:
    (dump,) = report["dumps"]
    assert dump["format"] == "hotspot"
    assert dump["truncated"] is False
    assert dump["threads"]["total"] > 15
    assert dump["threads"]["by_kind"].get("unknown", 0) == 0
    (deadlock,) = report["deadlocks"]
    assert set(deadlock["threads"]) == {"dead-1", "dead-2"}
    assert deadlock["reported_by_runtime"]
    found = locks(report)
    lock = found["java.util.concurrent.locks.ReentrantLock$NonfairSync"]
    assert lock == ("owner" if owners else None, 5)
    idle = [group for group in report["groups"] if group["kind"] == "idle"]
    assert sum("getTask" in (group["blocking_frame"] or "") for group in idle) == 1
    assert report["findings"][0]["id"] == "deadlock"


@pytest.mark.java
def test_jstack(jvm: tuple[subprocess.Popen[bytes], Path]) -> None:
    command = (require("jstack"), "-l", str(jvm[0].pid))
    report = eventually(lambda: analyzed(tool(*command)), has_waiters)
    check_jvm(report, owners=True)
    assert report["dumps"][0]["problems"] == []


@pytest.mark.java
def test_jstack_without_the_owners(jvm: tuple[subprocess.Popen[bytes], Path]) -> None:
    command = (require("jstack"), str(jvm[0].pid))
    check_jvm(eventually(lambda: analyzed(tool(*command)), has_waiters), owners=False)


@pytest.mark.java
def test_jcmd(jvm: tuple[subprocess.Popen[bytes], Path]) -> None:
    command = (require("jcmd"), str(jvm[0].pid), "Thread.print", "-l", "-e")
    report = eventually(lambda: analyzed(tool(*command)), has_waiters)
    check_jvm(report, owners=True)
    assert report["dumps"][0]["pid"] == jvm[0].pid


@pytest.mark.java
def test_kill_3(jvm: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, output = jvm

    def look() -> dict[str, Any]:
        before = output.stat().st_size
        process.send_signal(signal.SIGQUIT)
        deadline = time.monotonic() + SECONDS
        # The heap comes last, after the threads and the deadlocks.
        while b"\nHeap" not in output.read_bytes()[before:] and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.3)
        return analyzed(output.read_bytes()[before:])

    check_jvm(eventually(look, has_waiters), owners=False)


@pytest.mark.java
def test_what_jstack_says_of_no_process() -> None:
    done = subprocess.run([require("jstack"), "999999"], capture_output=True, timeout=SECONDS, check=False)
    run = [sys.executable, "-m", "threaddump", "analyze"]
    answer = subprocess.run(run, input=done.stdout + done.stderr, capture_output=True, timeout=SECONDS, check=False)
    assert answer.returncode == 2
    assert b"no such process" in answer.stderr
    assert b"try: " in answer.stderr


# --- Python


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A Python process with a thread in recv, one in sleep and one that waits for a lock; and faulthandler's file."""
    folder = tmp_path_factory.mktemp("python")
    source, target = folder / "live.py", folder / "faulthandler.txt"
    source.write_text(PYTHON, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = [sys.executable, str(source), str(server.getsockname()[1]), str(target)]
        process = subprocess.Popen(run, stdout=subprocess.PIPE)
        try:
            started(process)
            yield process, target
        finally:
            end(process)


def callers(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Thread name to kind and caller."""
    return {
        name: (group["kind"], (group["caller"] or "").rpartition(":")[2])
        for group in report["groups"]
        for name in group["threads"]
    }


def py_spy(pid: int, *options: str) -> bytes:
    command = [require("py-spy"), "dump", "--pid", str(pid), *options]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        tool_missing(f"py-spy may not attach here: {done.stderr.decode('utf-8', 'replace')[:300]}")
    return done.stdout


@pytest.mark.root
@pytest.mark.parametrize(("options", "form"), [((), "py-spy"), (("--locals",), "py-spy"), (("--json",), "py-spy-json")])
def test_py_spy(python: tuple[subprocess.Popen[bytes], Path], options: tuple[str, ...], form: str) -> None:
    report = analyzed(py_spy(python[0].pid, *options))
    (dump,) = report["dumps"]
    assert (dump["format"], dump["pid"], dump["truncated"]) == (form, python[0].pid, False)
    assert (dump["threads"]["total"], dump["problems"]) == (4, [])
    found = callers(report)
    assert {name: caller for name, (_, caller) in found.items()} == {
        "MainThread": "<module>", "fetch": "fetch", "pause": "pause", "reserve": "reserve",
    }  # fmt: skip


@pytest.mark.root
def test_py_spy_sees_what_a_c_call_waits_for(python: tuple[subprocess.Popen[bytes], Path]) -> None:
    found = callers(analyzed(py_spy(python[0].pid, "--native")))
    # How deep native frames go depends on how the interpreter was built: either they tell, or nothing is claimed.
    assert found["fetch"][0] in {"external-call", "unknown"}
    assert found["pause"][0] in {"sleep", "unknown"}
    assert found["reserve"][0] in {"lock-wait", "unknown"}


def test_faulthandler(python: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, target = python
    process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + SECONDS
    while b"most recent call first" not in target.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.2)
    report = analyzed(target.read_bytes())
    (dump,) = report["dumps"]
    assert (dump["format"], dump["threads"]["total"], dump["problems"]) == ("faulthandler", 4, [])
    assert {group["caller"].rpartition(":")[2] for group in report["groups"]} == {
        "<module>", "fetch", "pause", "reserve",
    }  # fmt: skip
