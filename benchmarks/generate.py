"""Makes the benchmark's inputs from one recorded HotSpot dump: deterministic, and streamed to disk.

A recorded dump is cut into its preamble, its threads and its tail. From these, dumps of any size are put together:
fewer threads, evenly picked, or the same threads several times over with names, ids, addresses and locks of their own.
Before a dump is written, the tokens that differ between real dumps (addresses, ids, pids, time stamps, cpu and elapsed
times) get new values, the same new value wherever the same old one stands, so that locks still meet their owners.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

_START = re.compile(rb"(?:^\d+:\n)?(?:^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n)?^Full thread dump ", re.MULTILINE)
_TOKEN = re.compile(
    rb"(?P<stamp>^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$)"
    rb"|(?P<pid>^\d+(?=:$))"
    rb"|(?P<java_id>(?<=\" #)\d+)"
    rb"|(?P<nid>(?<=nid=)0x[0-9a-f]+|(?<=nid=)\d+|(?<=\" #)\d+ \[\d+\])"
    rb"|(?P<cpu>(?<= cpu=)[\d.]+(?=ms))"
    rb"|(?P<elapsed>(?<= elapsed=)[\d.]+(?=s))"
    rb"|(?P<address>0x[0-9a-f]{9,16})",
    re.MULTILINE,
)
_LINE_NUMBER = re.compile(rb"(?<=\.java:)\d+(?=\))")
_LAST_NUMBER = re.compile(rb"\d+(?=\D*$)")


@dataclass(slots=True)
class Recorded:
    """One dump, cut up. `threads` are Java threads with their stacks; `vm` the VM's, which have none."""

    preamble: bytes
    threads: list[bytes]
    vm: list[bytes]
    tail: bytes
    has_address_list: bool

    @classmethod
    def read(cls, path: Path) -> Recorded:
        """The first dump of a file."""
        data = path.read_bytes().replace(b"\r\n", b"\n")
        starts = [match.start() for match in _START.finditer(data)]
        if not starts:
            raise SystemExit(f"{path} holds no HotSpot dump")
        dump = data[starts[0] : starts[1] if len(starts) > 1 else len(data)]
        preamble, *entries = re.split(rb'^(?=")', dump, flags=re.MULTILINE)
        if not entries:
            raise SystemExit(f"{path} holds a dump without threads")
        last, separator, tail = entries[-1].partition(b"\n\n")  # the last thread has no stack: a VM thread
        entries[-1] = last + separator
        return cls(
            preamble=preamble.partition(b"Threads class SMR info:")[0],
            threads=[entry for entry in entries if b" #" in entry.partition(b"\n")[0]],
            vm=[entry for entry in entries if b" #" not in entry.partition(b"\n")[0]],
            tail=tail,
            has_address_list=b"_java_thread_list=" in preamble,
        )

    @property
    def size(self) -> int:
        return sum(map(len, self.threads))


def dump_of_size(recorded: Recorded, size: int) -> bytes:
    """One dump of about this size."""
    threads: list[bytes] = []
    total = copy = 0
    while total < size:
        wanted = min(1.0, (size - total) / recorded.size)
        # Evenly picked: thread i is taken when the running share passes a whole number.
        picked = [t for i, t in enumerate(recorded.threads) if int((i + 1) * wanted) > int(i * wanted)]
        if not picked:
            break
        if copy:
            picked = [_copied(thread, copy) for thread in picked]
        threads += picked
        total += sum(map(len, picked))
        copy += 1
    listing = _address_list(threads) if recorded.has_address_list else b""
    return b"".join([recorded.preamble, listing, *threads, *recorded.vm, recorded.tail])


def _copied(thread: bytes, copy: int) -> bytes:
    """The same thread again, as another one: its name's number, its ids and its addresses moved."""
    header, newline, rest = thread.partition(b"\n")
    name, quote, fields = header.rpartition(b'"')
    number = _LAST_NUMBER.search(name)
    if number:
        renamed = str(int(number[0]) + 1000 * copy).encode()
        name = name[: number.start()] + renamed + name[number.end() :]
    else:
        name += f"-{copy}".encode()
    moved = Renewal(index=copy, java_ids=100_000 * copy, nids=1000 * copy, threads=True).apply
    return _TOKEN.sub(moved, b"".join([name, quote, fields, newline, rest]))


def _address_list(threads: list[bytes]) -> bytes:
    """The `Threads class SMR info` block of JDK 10 and later."""
    addresses = [match[1] for thread in threads if (match := re.search(rb" tid=(0x[0-9a-f]+)", thread))]
    rows = (b", ".join(addresses[i : i + 4]) for i in range(0, len(addresses), 4))
    head = f"Threads class SMR info:\n_java_thread_list=0x00007f82780779a0, length={len(addresses)}, elements={{\n"
    return head.encode() + b",\n".join(rows) + b"\n}\n\n"


@dataclass(slots=True)
class Renewal:
    """How the tokens of one dump differ from the recorded ones.

    Several dumps of one process keep ids and threads' addresses; objects move, clocks go on. Dumps of several
    processes share nothing.
    """

    index: int
    seconds: int = 0
    java_ids: int = 0
    nids: int = 0
    threads: bool = False
    """Whether addresses outside of the heap (threads, stacks, hidden classes) change too."""

    def apply(self, match: re.Match[bytes]) -> bytes:
        """The new value of one token, as long as the old one where the runtime pads it."""
        token = match[0]
        match match.lastgroup:
            case "address":
                value = int(token, 16)
                in_heap = value < 1 << 40
                if not value or not (in_heap or self.threads):
                    return token
                # A bijection that keeps the alignment and the upper bits.
                value ^= (self.index * 0x9E3779B1) & (0x07FF_FFF8 if in_heap else 0x3_FFFF_FFF0)
                return b"0x%0*x" % (len(token) - 2, value)
            case "java_id":
                return b"%d" % (int(token) + self.java_ids)
            case "nid":
                return b"0x%x" % (int(token, 16) + self.nids) if token[:2] == b"0x" else self._os_id(token)
            case "pid":
                return b"%d" % (int(token) + self.nids)
            case "cpu":
                # Every third thread has run since.
                busy = sum(token) % 3 == 0
                return b"%.2f" % (float(token) + (self.seconds * 1.7 if busy else 0))
            case "elapsed":
                return b"%.2f" % (float(token) + self.seconds)
            case _:
                stamp = datetime.fromisoformat(token.decode()) + timedelta(seconds=self.seconds)
                return stamp.isoformat(sep=" ").encode()

    def _os_id(self, token: bytes) -> bytes:
        return re.sub(rb"\d+", lambda m: b"%d" % (int(m[0]) + self.nids), token)


def series(dump: bytes, size: int, *, one_process: bool) -> Iterator[bytes]:
    """Dumps in a row, ten seconds apart, up to about this size: of one process, or each of another one."""
    # Cut once; then each dump is a join of the text between the tokens, and of new tokens.
    between: list[bytes] = []
    tokens: list[re.Match[bytes]] = []
    end = 0
    for match in _TOKEN.finditer(dump):
        between.append(dump[end : match.start()])
        tokens.append(match)
        end = match.end()
    rest = dump[end:]
    for index in range(round(size / len(dump))):
        renewal = Renewal(index, seconds=10 * index)
        if not one_process:
            renewal = Renewal(index, seconds=10 * index, java_ids=7 * index, nids=1009 * index, threads=True)
        seen: dict[bytes, bytes] = {}
        new: list[bytes] = []
        for match in tokens:
            key = match[0]
            if match.lastgroup != "address":
                new.append(renewal.apply(match))
                continue
            value = seen.get(key)
            if value is None:
                value = seen[key] = renewal.apply(match)
            new.append(value)
        yield b"".join(part for pair in zip(between, new, strict=True) for part in pair) + rest


def distinct(dump: bytes, index: int) -> bytes:
    """The dump with a line number of its own in the middle of each stack, so that no two stacks are alike."""
    serial = index * 100_000
    entries = re.split(rb'^(?=")', dump, flags=re.MULTILINE)
    for i, entry in enumerate(entries):
        numbers = list(_LINE_NUMBER.finditer(entry))
        if numbers:
            middle = numbers[len(numbers) // 2]
            serial += 1
            entries[i] = entry[: middle.start()] + b"%d" % serial + entry[middle.end() :]
    return b"".join(entries)


def one_line(recorded: Recorded, size: int) -> Iterator[bytes]:
    """A dump in which one frame is a line of this size."""
    header, _, rest = recorded.threads[0].partition(b"\n")
    yield recorded.preamble + header + b"\n   java.lang.Thread.State: RUNNABLE\n\tat "
    yield from _filled(b"com.shop.Deep.", size)
    yield b"call(Deep.java:1)\n" + rest.partition(b"\n")[2] + b"".join(recorded.threads[1:])


def no_newline(recorded: Recorded, size: int) -> Iterator[bytes]:
    """A dump whose newlines were lost."""
    yield from _filled(b"".join([recorded.preamble, *recorded.threads]).replace(b"\n", b" "), size)


def one_line_threads(recorded: Recorded, count: int) -> Iterator[bytes]:
    """A dump of very many threads that show a header and nothing else."""
    yield recorded.preamble
    for start in range(0, count, 10_000):
        yield b"".join(
            b'"worker-%d" #%d prio=5 os_prio=0 tid=0x%016x nid=0x%x runnable \n'
            % (i, i + 10, 0x7F82_0000_0000 + 0x800 * i, i + 100)
            for i in range(start, min(count, start + 10_000))
        )


def _filled(pattern: bytes, size: int) -> Iterator[bytes]:
    block = pattern * (1 + (1 << 16) // len(pattern))
    for start in range(0, size, len(block)):
        yield block[: size - start]


MB = 1_000_000
SMALL, MIDDLE, LARGE = 16 * MB // 10, 16 * MB, 100 * MB


def _dump(size: int) -> Callable[[Recorded], Iterator[bytes]]:
    return lambda recorded: iter([dump_of_size(recorded, size)])


def _series(*, one_process: bool) -> Callable[[Recorded], Iterator[bytes]]:
    return lambda recorded: series(dump_of_size(recorded, SMALL), LARGE, one_process=one_process)


def _distinct(recorded: Recorded) -> Iterator[bytes]:
    dumps = series(dump_of_size(recorded, SMALL), LARGE, one_process=False)
    return (distinct(dump, index) for index, dump in enumerate(dumps))


FLEETS: dict[str, Callable[[Recorded], Iterator[bytes]]] = {
    "fleet-2000x1MB": lambda recorded: series(dump_of_size(recorded, MB), 2000 * MB, one_process=False),
}
"""Folders: each block is a file. 2 GB each, so made only when asked for."""
INPUTS: dict[str, Callable[[Recorded], Iterator[bytes]]] = {
    "dump-1.6MB": _dump(SMALL),
    "dump-16MB": _dump(MIDDLE),
    "series-100MB": _series(one_process=False),
    "process-100MB": _series(one_process=True),
    "distinct-100MB": _distinct,
    "line-10MB": lambda recorded: one_line(recorded, 10 * MB),
    "line-20MB": lambda recorded: one_line(recorded, 20 * MB),
    "threads-500k": lambda recorded: one_line_threads(recorded, 500_000),
    "threads-1M": lambda recorded: one_line_threads(recorded, 1_000_000),
    "no-newline-10MB": lambda recorded: no_newline(recorded, 10 * MB),
    "no-newline-20MB": lambda recorded: no_newline(recorded, 20 * MB),
}
