r"""The text of Go's goroutine dumps, as printed by ``runtime/traceback.go`` and ``runtime/pprof`` of Go 1.5 to 1.27.

What a panic, SIGQUIT, ``runtime.Stack`` and ``/debug/pprof/goroutine?debug=2`` print, innermost frame first::

    goroutine 7 [select, 5 minutes, locked to thread]:
    net/http.(*persistConn).roundTrip(0xc0001205a0, 0xc000112340)
            /usr/local/go/src/net/http/transport.go:2620 +0x974
    ...23 frames elided...
    created by main.main in goroutine 1
            /srv/shop/main.go:7 +0xfa

In the brackets stands the status or the wait reason (``waitReasonStrings``, ``runtime/runtime2.go``). The minutes are
those since a garbage collection first saw the goroutine wait: without them nothing is known of the time. A ``?``
after an argument says that its value may be stale. Frames of the runtime are printed by SIGQUIT and left out by the
others. ``goroutine 0`` is the scheduler's own stack of a thread.

``/debug/pprof/goroutine?debug=1`` counts goroutines with equal stacks (``writeRuntimeProfile``) and prints no status::

    goroutine profile: total 227
    51 @ 0x43b0f6 0x433c17 0x4629a9
    # labels: {"job":"nightly"}
    #	0x4a8331	io.discard.ReadFrom+0x71	/usr/local/go/src/io/io.go:611
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Lock, Thread
from threaddump_parsers.python_frames import DumpReader, clean, number_of, text

FORMAT = "goroutine"
FAMILY = "go"
TITLE = "Go goroutine dump"
CAPTURE = (
    ("curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2'", "every goroutine; needs net/http/pprof"),
    ("kill -QUIT PID", "in the standard error of the process, which ends"),
)
INITIALS = b"g\x1b"
SIGNATURE = rb"goroutine(?: \d|(?:leak)? profile: total \d)"
WORDS = (b"goroutine",)

MAX_COUNTED = 500_000
"""Goroutines that a counted profile is taken to have; what it counts beyond them is said to be missing."""

# header  := "goroutine " id [" gp=" .. " m=" .. [" mp=" ..]] " [" status flags [", " n " minutes"]
#            [", locked to thread"] [", synctest bubble " n] [" labels:{" .. "}"] "]:"
# flags   := [" (leaked)"] [" (scan)"] [" (durable)"]
# frame   := function "(" arguments ")" \n position | "non-Go function" \n position
# created := "created by " function [" in goroutine " id] \n position
# position := tab file ":" line [" +0x" offset] [" fp=" .. " sp=" .. " pc=" ..]
_HEADER = re.compile(
    rb"goroutine (\d{1,19})(?: gp=\S{1,40} m=\S{1,20}(?: mp=\S{1,40})?)? \[([^\[\]{}]{1,100}?)(?:,? labels:\{.*\})?\]"
    rb"(?: ?\{(?s:.*+)(?<=\}:)|:)"
)
_STATUS = re.compile(
    r"(?P<reason>[^,]*?)(?P<flags>(?: \((?:leaked|scan|durable)\))*)"
    r"(?:, (?P<minutes>\d{1,9}) minutes)?(?:, locked to thread)?(?:, synctest bubble \d{1,19})?"
)
_POSITION = re.compile(rb"\s*(\S.*?):(\d{1,9})(?: \+0x[0-9a-f]{1,16})?(?: fp=0x.*| pc=0x.*)?")
_ELIDED = re.compile(rb"\.\.\.(?:additional|\d{1,12}) frames elided\.\.\.")
_CREATED = b"created by "
_ORIGIN = b"[originating from goroutine "
_UNAVAILABLE = b"goroutine running on other thread; stack unavailable"
_FOREIGN = b"non-Go function"
# What SIGQUIT prints around the goroutines: its name, the program counter, registers, rules between threads.
_RULE = b"-----"
_AROUND = re.compile(rb"SIGQUIT: quit|PC=0x.*|-----|[a-z][a-z0-9]{1,6} +0x[0-9a-f]{1,16}")

_PROFILE = re.compile(rb"goroutine(?:leak)? profile: total (\d{1,12})")
_COUNT = re.compile(rb"(\d{1,12}) @(?: 0x[0-9a-f]{1,16})*")
_COUNTED = re.compile(rb"#\s+0x[0-9a-f]{1,16}\s+(\S+?)\+0x[0-9a-f]{1,16}\s+(\S.*):(\d{1,9})")
_NAMELESS = re.compile(rb"#\s+0x[0-9a-f]{1,16}")

_TOOLCHAIN = re.compile(r"\bgo-?(1\.\d{1,3}(?:\.\d{1,3})?)(?:\.[a-z]+-\w+)?/src/")
_ADDRESS = re.compile(rb"(0x[0-9a-f]{1,16})(?:, .*)?", re.DOTALL)
_LOCKS = {
    "sync.(*Mutex)": "sync.Mutex",
    "internal/sync.(*Mutex)": "sync.Mutex",
    "sync.(*RWMutex)": "sync.RWMutex",
}
_WAITS = frozenset({"semacquire", "sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock"})
"""Wait reasons of a goroutine that wants a lock; before Go 1.20 ``semacquire`` was all that was said."""


def claims(line: bytes) -> bool:
    """The header of a goroutine, or of a counted profile."""
    if not line.startswith((b"goroutine", b"\x1b")):
        return False
    plain = clean(line)
    return _HEADER.fullmatch(plain) is not None or _PROFILE.fullmatch(plain) is not None


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps, with goroutines one by one or counted."""
    yield from _Reader().run(lines)


class _Reader(DumpReader):
    FORMAT = FORMAT
    FAMILY = FAMILY
    RUNTIME = "Go"
    BEGINNINGS = (b"goroutine ", b"created by ", b"#\t0x")

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self._frames: dict[tuple[bytes, bytes], Frame] = {}
        self._function: bytes | None = None
        """A function whose position is in the next line; empty where its position is not a frame's."""
        self._elsewhere = False
        """The lines tell of the goroutine that started this one, or of its creation: no frames of its stack."""
        self._lock: Lock | None = None
        self._rule = False
        """A rule came, and no goroutine 0 since."""
        self._crash = False
        """A rule came in this dump."""
        self._unavailable: dict[int, Thread] = {}
        """Goroutines that ran while the dump was taken, by their id: their stacks may come further on."""
        self._replaced: set[Thread] = set()
        self._count = 0
        """Of a counted profile: how many goroutines the entry at hand stands for."""
        self._total: int | None = None
        self._left = MAX_COUNTED
        self._skipped = 0

    def begin(self, line: int, number: int) -> Dump:
        dump = super().begin(line, number)
        self._total, self._left, self._skipped = None, MAX_COUNTED, 0
        self._rule = self._crash = False
        self._unavailable.clear()
        self._replaced.clear()
        return dump

    def read(self, number: int, line: bytes) -> bool:
        plain = clean(line) if len(line) < 100_000 else b""
        if self._function is not None and self._read_position(number, plain):
            return True
        if not plain:
            return False
        if plain.startswith(b"goroutine") and self._read_header(number, plain):
            return True
        if self.dump is None:
            return False
        if self._total is not None:
            return self._read_counted(number, plain)
        return self.thread is not None and self._read_call(plain)

    def _read_header(self, number: int, plain: bytes) -> bool:
        profile = _PROFILE.fullmatch(plain)
        if profile is not None:
            self.begin(number, number)
            self._total = number_of(profile[1])
            return True
        header = _HEADER.fullmatch(plain)
        if header is None:
            if self.dump is not None and plain.endswith(b"]:"):
                self.complain(number, "a goroutine's header that cannot be read", plain)
            return False
        if self._total is not None:
            self.finish(number)
        status = _STATUS.fullmatch(text(header[2]))
        words = text(header[2]) if status is None else status["reason"]
        thread = Thread("", number, state=words, printed_state=text(header[2]), java_id=int(header[1]))
        thread.unit = "goroutine"
        thread.internal = thread.java_id == 0
        if status is not None:
            thread.leaked = "(leaked)" in status["flags"]
            thread.waiting_s = 60.0 * int(status["minutes"]) if status["minutes"] else None
        self._make_room(thread)
        self.add_thread(thread, str(thread.java_id) if thread.java_id else None)
        return True

    def _make_room(self, thread: Thread) -> None:
        """Tell the next dump from the next thread of the process.

        GOTRACEBACK=crash prints for each thread, after a rule, its goroutine 0 and the goroutine that runs on it, whose
        stack was not available before.
        """
        dump = self.dump
        if dump is None:
            return
        if thread.java_id == 0:
            if not self._rule and self._ids:  # of goroutines that are not of the runtime
                self.finish(thread.line)
            self._rule = False
        elif self._crash and thread.java_id in self._unavailable:
            self._replaced.add(self._unavailable.pop(thread.java_id))
            self._ids.discard(str(thread.java_id))

    # Goroutines one by one

    def _read_call(self, plain: bytes) -> bool:
        if plain.startswith(_CREATED):
            return self._expect(b"")
        if plain.startswith(_ORIGIN):
            self._elsewhere = True
            self.grammar()
            return True
        if _ELIDED.fullmatch(plain) or plain.strip() == _UNAVAILABLE:
            self.grammar()
            if self.thread is not None:
                self.thread.truncated = True
            return True
        if plain == _FOREIGN or plain.startswith(b"non-Go function at pc="):
            return self._expect(_FOREIGN)
        # Arguments are numbers, braces and commas: the last parenthesis opens them.
        at = plain.rfind(b"(")
        if (
            plain.endswith(b")")
            and at > 0
            and b" " not in plain[:at]
            and (b"." in plain[:at] or plain[:at] == b"panic")
        ):
            if not self._elsewhere:
                self._note_lock(plain[:at], plain[at + 1 : -1])
            return self._expect(b"" if self._elsewhere else plain[:at])
        if plain == _RULE:
            self._rule = self._crash = True
        return _AROUND.fullmatch(plain) is not None

    def _expect(self, function: bytes) -> bool:
        self.grammar()
        self._function = function
        return True

    def _read_position(self, number: int, plain: bytes) -> bool:
        """Read the second line of a frame; where it is missing, the frame has no position."""
        function, self._function = self._function, None
        position = _POSITION.fullmatch(plain)
        if function:
            key = (function, position[0].strip().partition(b" ")[0] if position else b"")
            frame = self._frames.get(key)
            if frame is None:
                file, line = (text(position[1]), number_of(position[2])) if position else (None, None)
                frame = self._frames[key] = Frame(text(function), file, line, native=function == _FOREIGN)
            self.stack.append(frame)
        if position is not None:
            self.grammar()
            return True
        if function and plain:
            self.complain(number, "a frame without its file and line", plain)
        return False

    def _note_lock(self, function: bytes, arguments: bytes) -> None:
        """The mutex is the first argument of its methods, where it was not inlined away. A stale value is none."""
        receiver, _, method = text(function).rpartition(".")
        class_name = _LOCKS.get(receiver)
        if class_name is None or method not in {"Lock", "lockSlow", "RLock", "lock", "rLockSlow"}:
            return
        address = _ADDRESS.fullmatch(arguments)
        # A writer of an RWMutex waits for the mutex at its start: the outer frame tells which it is.
        if address is not None and int(address[1], 16):
            self._lock = Lock(text(address[1]), class_name)
        elif self._lock is not None:
            self._lock.class_name = class_name

    # Counted goroutines

    def _read_counted(self, number: int, plain: bytes) -> bool:
        count = _COUNT.fullmatch(plain)
        if count is not None:
            thread = Thread("", number)
            thread.unit = "goroutine"
            self.add_thread(thread, None)
            self._count = int(count[1])
            thread.name = "one goroutine" if self._count == 1 else f"one of {self._count:,} goroutines"
            return True
        if not plain.startswith(b"#") or self.thread is None:
            return False
        counted = _COUNTED.fullmatch(plain)
        if counted is not None:
            key = (counted[1], counted[2] + b":" + counted[3])
            frame = self._frames.get(key)
            if frame is None:
                frame = self._frames[key] = Frame(text(counted[1]), text(counted[2]), int(counted[3]))
            self.add_frame(number, frame)
            return True
        if plain.startswith(b"# labels: ") or _NAMELESS.fullmatch(plain):
            self.grammar()
            return True
        self.complain(number, "a line of a profile that cannot be read", plain)
        return False

    def end_thread(self, thread: Thread) -> None:
        if self._lock is not None and thread.state in _WAITS:
            thread.blocked_on = self._lock
        self._lock = None
        self._elsewhere = False
        if thread.java_id and not thread.stack:
            self._unavailable[thread.java_id] = thread
        if self._total is None or self.dump is None:
            return
        # The goroutines of an entry are one object: what is known of one is known of all.
        kept = min(self._count, self._left)
        self.dump.threads.pop()
        self.dump.threads.extend([thread] * kept)
        self._left -= kept
        self._skipped += self._count - kept

    def settle(self, thread: Thread) -> None:
        if self._function is not None:
            self._read_position(thread.line, b"")

    def end_dump(self, dump: Dump) -> None:
        if self._replaced:
            dump.threads = [thread for thread in dump.threads if thread not in self._replaced]
        counted = len(dump.threads) + self._skipped
        if self._skipped:
            dump.truncated.append(f"the profile counts {counted:,} goroutines, {len(dump.threads):,} are looked at")
        elif self._total is not None and counted != self._total:
            dump.truncated.append(f"the profile says {self._total:,} goroutines, its entries add up to {counted:,}")
        for thread in dump.threads:
            for frame in thread.stack:
                version = _TOOLCHAIN.search(frame.file or "")
                if version is not None:
                    dump.version = version[1]
                    break
            if dump.version is not None:
                break
        if len(self._frames) > 50_000:
            self._frames.clear()
        self._total = None
