"""Processes that the tests of captures look at: real JVMs and Pythons; and peers that hang, answer or are not there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

SECONDS = 40

JAVA = """
import java.net.*;
import java.util.*;
import java.util.concurrent.locks.*;

public class Caller {
    static final ReentrantLock LOCK = new ReentrantLock();

    static void call(String url) throws Exception {
        new URL(url).openConnection().getInputStream().read();
    }

    static void queue() throws Exception { LOCK.lock(); }

    static void start(String name, java.util.concurrent.Callable<?> body) {
        Thread thread = new Thread(() -> { try { body.call(); } catch (Exception e) { } }, name);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] args) throws Exception {
        LOCK.lock();
        int number = 0;
        for (String url : args)
            for (int i = 0; i < 12; i++) start("http-exec-" + ++number, () -> { call(url); return null; });
        for (int i = 0; i < 3; i++) start("waiter-" + i, () -> { queue(); return null; });
        System.out.println("started");
        System.out.flush();
        Thread.sleep(Long.getLong("lifetime", 300000));
    }
}
"""

PYTHON = """
import socket, sys, threading, time

def call(address, timeout):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(timeout)
        connection.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        while connection.recv(1): pass

def again(address, timeout):
    while True:
        try: call(address, timeout)
        except OSError: pass

def connect(address):
    host, port = address.rsplit(":", 1)
    while True:  # the system gives up after two minutes
        try: socket.create_connection((host, int(port)))
        except OSError: pass

def run(kind, address):
    {"hang": lambda: call(address, None), "timed": lambda: again(address, 77), "answer": lambda: again(address, 9),
     "connect": lambda: connect(address)}[kind]()

number = 0
for word in sys.argv[1:]:
    kind, count, address = word.split("=")
    for _ in range(int(count)):
        number += 1
        threading.Thread(target=run, args=(kind, address), name=f"worker-{number}", daemon=True).start()
time.sleep(0.5)
print("started", flush=True)
time.sleep(300)
"""


def tool_missing(what: str) -> None:
    if os.environ.get("THREADDUMP_REQUIRE_TOOLS"):
        pytest.fail(f"{what}, and THREADDUMP_REQUIRE_TOOLS is set")
    pytest.skip(what)


def require(name: str) -> str:
    """The path of a tool; skips the test where there is none."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        tool_missing(f"{name} is not installed")
    assert found is not None
    return found


def require_root() -> None:
    if os.geteuid() != 0:
        tool_missing("this needs the rights of root")


@contextmanager
def process(
    command: Sequence[str | Path], *, started: bool = True, out: Path | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own, which is ended at the end. Waits until it says that all its threads are on their way."""
    with ExitStack() as opened:
        output = subprocess.PIPE if out is None else opened.enter_context(out.open("wb"))
        running = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **options,
        )
        try:
            if started:
                _await_start(running, out)
            yield running
        finally:
            if running.poll() is None:
                os.kill(running.pid, signal.SIGCONT)
                running.kill()
            running.communicate()
            if running.stdout is not None:
                running.stdout.close()


def _await_start(running: subprocess.Popen[bytes], out: Path | None) -> None:
    if out is None:
        assert running.stdout is not None
        while (line := running.stdout.readline()).strip() != b"started":
            assert line, f"it ended with {running.wait()}"
        return
    eventually(lambda: running.poll() is not None or b"started" in out.read_bytes(), "started")
    assert running.poll() is None, out.read_text("utf-8", "replace")


def eventually(reached: Callable[[], Any], what: str) -> Any:
    """Wait for a state that comes soon; what it returns."""
    deadline = time.monotonic() + SECONDS
    while not (found := reached()):
        assert time.monotonic() < deadline, f"not reached: {what}"
        time.sleep(0.05)
    return found


class Peer:
    """A server on an address of the local machine: it hangs, or answers after ``pause`` seconds."""

    def __init__(self, host: str, pause: float | None = None, backlog: int = 500) -> None:
        self._listener = socket.create_server((host, 0), backlog=backlog)
        self._pause = pause
        self._accepted: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._accepted.append(connection)
            if self._pause is not None:
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            connection.recv(1000)
            time.sleep(self._pause or 0)
            connection.sendall(b"x")
            connection.close()
        except OSError:
            pass

    def close(self) -> None:
        self._listener.close()
        for connection in self._accepted:
            connection.close()


@contextmanager
def full_listener(host: str) -> Iterator[str]:
    """The address of a listener whose queue is full: who connects to it gets no answer at all."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        try:
            for _ in range(4):
                connection = socket.socket()
                connection.setblocking(False)
                connection.connect_ex(address)
                waiting.append(connection)
            yield f"{address[0]}:{address[1]}"
        finally:
            for connection in waiting:
                connection.close()
