"""What is read from the kernel, and how: of this very process, and of bytes that a kernel could print."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import threading
from pathlib import Path

import pytest

from live_programs import Peer, eventually, tool_missing
from threaddump.capture import calls, facts, names, sockets
from threaddump.capture.calls import Call

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's facts are read on Linux only")


def call(name: str, *arguments: int, memory: int | None = None) -> Call:
    return calls._call(name, [*arguments, *[0] * (6 - len(arguments))], memory)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("recvfrom", (5,), Call("recvfrom", (5,))),
        ("epoll_wait", (6, 0, 1, 0xFFFFFFFF), Call("epoll_wait", (6,), None, True)),
        ("epoll_wait", (6, 0, 1, 1500), Call("epoll_wait", (6,), 1500, False)),
        ("poll", (0, 1, 0xFFFFFFFFFFFFFFFF), Call("poll", (), None, True)),
        ("poll", (0, 1, 30_000), Call("poll", (), 30_000, False)),
        ("ppoll", (0, 1, 0), Call("ppoll", (), None, True)),
        ("futex", (1, 2), Call("futex")),
    ],
)
def test_arguments(name: str, arguments: tuple[int, ...], expected: Call) -> None:
    assert call(name, *arguments) == expected


@pytest.fixture
def memory() -> int:
    return os.open("/proc/self/mem", os.O_RDONLY)


def test_what_arguments_point_to(memory: int) -> None:
    try:
        polled = ctypes.create_string_buffer(struct.pack("=ihhihh", 9, 1, 0, -1, 1, 0))
        time = ctypes.create_string_buffer(struct.pack("=qq", 2, 500_000_000))
        bits = ctypes.create_string_buffer(struct.pack("=QQ", 1 << 3 | 1 << 40, 0))
        at = ctypes.addressof
        assert call("poll", at(polled), 2, 7, memory=memory) == Call("poll", (9,), 7, False)
        assert call("ppoll", at(polled), 2, at(time), memory=memory) == Call("ppoll", (9,), 2500, False)
        assert call("pselect6", 64, at(bits), 0, 0, at(time), memory=memory) == Call("pselect6", (3, 40), 2500, False)
        # A poll that was stopped and goes on, and a sleep that was.
        assert call("restart_syscall", at(polled), 2, 77, memory=memory) == Call("poll", (9,), 77, False)
        assert call("restart_syscall", at(time), 0, memory=memory).name == "restart_syscall"
        assert call("poll", 1, 1, 5, memory=memory) == Call("poll", (), 5, False)  # memory that cannot be read
    finally:
        os.close(memory)


def test_own_threads_with_their_peers() -> None:
    peer = Peer("127.0.0.8")
    connection = socket.create_connection(peer.address.rsplit(":", 1))
    reader = threading.Thread(target=connection.recv, args=(1,), daemon=True)
    reader.start()
    try:
        pid, tid = os.getpid(), reader.native_id
        assert tid is not None
        if not calls.may_look(pid):
            tool_missing("/proc/self/syscall may not be read")
        found = eventually(lambda: calls.blocked(pid, [tid]).get(tid), "blocked")
        assert found == Call("recvfrom", (connection.fileno(),))
        inode = sockets.inodes(pid)[connection.fileno()]
        asked = sockets.connections(pid)[inode]
        assert (asked.remote, asked.state, asked.unread) == (peer.address, "ESTABLISHED", 0)
        assert asked.silent_ms is not None and asked.silent_ms < 60_000
        listed = {each.inode: each for each in sockets._listed(pid, "tcp")}[inode]
        assert (listed.local, listed.remote, listed.state) == (asked.local, asked.remote, asked.state)
        assert listed.silent_ms is None
        rows = {row["tid"]: row for row in facts._threads(pid, facts._moment(pid), facts._moment(pid))}
        assert (rows[tid]["call"], rows[tid]["peer"]) == ("recvfrom", peer.address)
    finally:
        connection.shutdown(socket.SHUT_RDWR)
        reader.join()
        connection.close()
        peer.close()


def test_addresses_of_both_families() -> None:
    assert sockets._listed_address("0100007F:1F90") == "127.0.0.1:8080"
    assert sockets._listed_address("0000000000000000FFFF00000100007F:0050") == "127.0.0.1:80"
    assert sockets._listed_address("00000000000000000000000001000000:0050") == "[::1]:80"


def test_a_thread_that_moved_on_tells_nothing() -> None:
    before = facts.Moment({1: Call("recvfrom", (5,)), 2: Call("recvfrom", (5,)), 3: Call("futex")}, {5: 70}, {})
    after = facts.Moment({1: Call("recvfrom", (6,)), 2: Call("recvfrom", (5,)), 3: Call("futex")}, {5: 71}, {})
    assert [facts._same(before, after, tid) for tid in (1, 2, 3)] == [False, False, True]


def test_the_environment_is_kept_to_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(facts.environment(os.getpid(), ["PATH", "NO_SUCH_VARIABLE"])) <= {"PATH"}


def test_hosts_file_gives_the_full_name() -> None:
    hosts = "127.0.0.1 localhost\n10.1.2.3  orders-4.shop.example orders-4 # the fourth\n"
    assert facts._full_name("orders-4", hosts) == "orders-4.shop.example"
    assert facts._full_name("orders-5", hosts) is None
    assert facts._full_name("a.b", "") == "a.b"


def test_containers_and_services() -> None:
    container = "0" * 12 + "f" * 52
    assert facts._container(f"0::/system.slice/docker-{container}.scope") == "0" * 12
    assert facts._container("0::/user.slice") is None
    assert facts._service(os.getpid(), {"SERVICE_NAME": "orders"}, "") == "orders"
    assert facts._service(os.getpid(), {}, "0::/system.slice/orders.service") == "orders"


def test_names_have_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    known = {"10.0.0.7": "scheduling-1"}

    def ask(host: str) -> tuple[str, list[str], list[str]]:
        if host not in known:
            never.wait(60)
            raise OSError("no answer")
        return known[host], [], []

    monkeypatch.setattr(socket, "gethostbyaddr", ask)
    try:
        assert names.names(["10.0.0.7:7001", "10.0.0.8:7001"], 0.3) == known
    finally:
        never.set()


def test_facts_of_a_process_that_has_ended() -> None:
    watch = facts.Watch(2**22 + 1)
    assert [line.startswith(facts.PREFIX) for line in watch.lines()] == [True]
    assert facts.tids(2**22 + 1) == []
    assert not Path(f"/proc/{2**22 + 1}").exists()


def test_threads_that_the_dump_stopped_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine they come back to their calls one by one; one that goes on is not waited for long."""
    waits, goes_on, ends = Call("recvfrom", (5,)), Call("recvfrom", (6,)), Call("recvfrom", (7,))
    answers = iter([{1: waits, 2: goes_on, 3: ends}, {}, {}, {1: waits}])
    asked = []

    def blocked(_: int, threads: list[int]) -> dict[int, Call]:
        asked.append(sorted(threads))
        return next(answers, {})

    monkeypatch.setattr(facts.calls, "blocked", blocked)
    alive = [1, 2, 3]
    monkeypatch.setattr(facts, "tids", lambda _: list(alive))
    watch = facts.Watch(2**22 + 1)
    alive.remove(3)
    *_, rows = (json.loads(line.removeprefix(facts.PREFIX)) for line in watch.lines())
    assert [(row["tid"], row.get("call")) for row in rows["threads"]] == [(1, "recvfrom"), (2, None)]
    assert asked == [[1, 2, 3], [1, 2], [1, 2], [1, 2], [2], [2], [2]]
