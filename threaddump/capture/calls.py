"""Which system call each thread waits in, on what, and whether that wait has a timeout: as the kernel tells it.

``/proc/PID/task/TID/syscall`` (``fs/proc/base.c``) holds one line for a thread that is blocked in a call::

    45 0x6 0x7f2c.. 0x2000 0x0 0x0 0x0 0x7ffe.. 0x7f2d..     number, six arguments, stack pointer, program counter
    -1 0x7ffe.. 0x7f2d..                                     blocked, but not in a system call
    running                                                  on a processor, or ready for one

It takes the right to trace the process. What an argument points to (the descriptors of ``poll``, a time) is read from
``/proc/PID/mem``.
"""

from __future__ import annotations

import os
import platform
import struct
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

READS = ("read", "pread64", "readv", "recvfrom", "recvmsg", "recvmmsg")
WRITES = ("write", "pwrite64", "writev", "sendto", "sendmsg", "sendfile")
POLLS = ("poll", "ppoll", "select", "pselect6")
RESTARTED = "restart_syscall"
"""A call with a timeout that a stop of the process interrupted (py-spy stops it): the kernel goes on with what is left
of it. The registers still hold the arguments of the call itself."""
_TABLES = {
    # arch/x86/entry/syscalls/syscall_64.tbl
    "x86_64": {
        0: "read", 1: "write", 7: "poll", 17: "pread64", 18: "pwrite64", 19: "readv", 20: "writev", 23: "select",
        35: "nanosleep", 40: "sendfile", 42: "connect", 43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg",
        47: "recvmsg", 61: "wait4", 72: "fcntl", 73: "flock", 74: "fsync", 75: "fdatasync", 202: "futex",
        219: "restart_syscall", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid", 257: "openat",
        262: "newfstatat", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 299: "recvmmsg",
        332: "statx", 441: "epoll_pwait2",
    },
    # include/uapi/asm-generic/unistd.h
    "aarch64": {
        22: "epoll_pwait", 25: "fcntl", 32: "flock", 56: "openat", 63: "read", 64: "write", 65: "readv", 66: "writev",
        67: "pread64", 68: "pwrite64", 71: "sendfile", 72: "pselect6", 73: "ppoll", 79: "newfstatat", 82: "fsync",
        83: "fdatasync", 95: "waitid", 98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 128: "restart_syscall",
        202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg", 242: "accept4",
        243: "recvmmsg", 260: "wait4", 291: "statx", 441: "epoll_pwait2",
    },
}  # fmt: skip
NAMES = _TABLES.get(platform.machine(), {})
_ON_DESCRIPTOR = frozenset((*READS, *WRITES, "connect", "accept", "accept4", "fsync", "fdatasync", "flock", "fcntl"))
_MOST_POLLED = 64
_MOST_DESCRIPTORS = 1 << 20
_EVENTS = 1 << 14
_POLLFD = struct.Struct("=ihh")
_SET_BYTES = 128


@dataclass(slots=True, frozen=True)
class Call:
    """A system call that a thread is blocked in."""

    name: str
    descriptors: tuple[int, ...] = ()
    """The files it is about; none where it is about none, or they cannot be told."""
    timeout_ms: int | None = None
    untimed: bool | None = None
    """Whether the call itself waits for ever. None: the call has no argument for it, so the socket's options decide."""


def blocked(pid: int, tids: list[int]) -> dict[int, Call]:
    """The calls that these threads are blocked in; a thread that runs, or may not be looked at, is not in it."""
    found: dict[int, Call] = {}
    memory: int | None = None
    try:
        for tid in tids:
            words = _words(pid, tid)
            name = NAMES.get(int(words[0])) if len(words) == 9 else None
            if name is None:
                continue
            if memory is None and (name in POLLS or name == RESTARTED):
                memory = _memory(pid)
            found[tid] = _call(name, [int(word, 16) for word in words[1:7]], memory)
    finally:
        if memory is not None:
            os.close(memory)
    return found


def may_look(pid: int) -> bool:
    """Whether the calls of this process's threads can be read."""
    try:
        (PROC / str(pid) / "syscall").read_bytes()
    except OSError:
        return False
    return True


def _words(pid: int, tid: int) -> list[str]:
    # os.open and not Path: 500 threads are read twice while they wait.
    try:
        handle = os.open(f"/proc/{pid}/task/{tid}/syscall", os.O_RDONLY)
        try:
            return os.read(handle, 400).decode("ascii", "replace").split()
        finally:
            os.close(handle)
    except OSError:
        return []


def _memory(pid: int) -> int | None:
    try:
        return os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return None


def _call(name: str, arguments: list[int], memory: int | None) -> Call:
    if name == RESTARTED and _looks_like_poll(memory, *arguments[:2]):
        name = "poll"
    if name == "poll":
        timeout = _signed(arguments[2])
        return Call(name, _polled(memory, *arguments[:2]), *_limit(timeout))
    if name == "ppoll":
        return Call(name, _polled(memory, *arguments[:2]), *_limit(_time(memory, arguments[2], 1_000_000)))
    if name in {"select", "pselect6"}:
        unit = 1_000 if name == "select" else 1_000_000
        return Call(name, _selected(memory, *arguments[:3]), *_limit(_time(memory, arguments[4], unit)))
    if name in {"epoll_wait", "epoll_pwait"}:
        return Call(name, (arguments[0],), *_limit(_signed(arguments[3])))
    if name in _ON_DESCRIPTOR:
        return Call(name, (_signed(arguments[0]),))
    return Call(name)


def _limit(timeout_ms: int | None) -> tuple[int | None, bool | None]:
    """Timeout and whether there is none; a negative number is the word for "for ever"."""
    if timeout_ms is None:
        return None, None
    return (None, True) if timeout_ms < 0 else (timeout_ms, False)


def _signed(word: int) -> int:
    """An ``int`` argument: the lower half of the register."""
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >> 31 else word


def _read(memory: int | None, address: int, size: int) -> bytes:
    if memory is None or address == 0:
        return b""
    try:
        return os.pread(memory, size, address)
    except (OSError, OverflowError):
        return b""


def _polled(memory: int | None, address: int, count: int) -> tuple[int, ...]:
    if count > _MOST_POLLED:
        return ()
    data = _read(memory, address, count * _POLLFD.size)
    whole = len(data) // _POLLFD.size * _POLLFD.size
    return tuple(fd for fd, _, _ in _POLLFD.iter_unpack(data[:whole]) if fd >= 0)


def _looks_like_poll(memory: int | None, address: int, count: int) -> bool:
    """Whether these are the arguments of ``poll``: a few descriptors, each with events to wait for, none come yet."""
    if not 0 < count <= _MOST_POLLED:
        return False
    data = _read(memory, address, count * _POLLFD.size)
    if len(data) != count * _POLLFD.size:
        return False
    return all(
        -1 <= fd < _MOST_DESCRIPTORS and 0 < events < _EVENTS and not came
        for fd, events, came in _POLLFD.iter_unpack(data)
    )


def _selected(memory: int | None, count: int, *sets: int) -> tuple[int, ...]:
    """The descriptors in the sets to read and to write: one bit each."""
    size = min((count + 63) // 64 * 8, _SET_BYTES)
    found: set[int] = set()
    for address in sets:
        bits = int.from_bytes(_read(memory, address, size), "little")
        while bits:
            lowest = bits & -bits
            found.add(lowest.bit_length() - 1)
            bits ^= lowest
    return tuple(sorted(found))


def _time(memory: int | None, address: int, units_per_ms: int) -> int | None:
    """Milliseconds of a ``timespec`` or ``timeval``; -1 where none is given, None where it cannot be read."""
    if address == 0:
        return -1
    data = _read(memory, address, 16)
    if len(data) < 16:
        return None
    seconds, fraction = struct.unpack("=qq", data)
    return int(seconds * 1000 + fraction // units_per_ms)
