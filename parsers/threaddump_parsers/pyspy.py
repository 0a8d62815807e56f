r"""The text of ``py-spy dump``, as printed by ``src/dump.rs`` of py-spy 0.2 to 0.4::

    Process 3940: /srv/app/bin/python /srv/app/shop.py
    Python v3.11.7 (/usr/local/bin/python3.11)

    Thread 3940 (idle): "MainThread"
        Thread.join (threading.py:1119)
        <module> (shop.py:13)
    Thread 3942 (active+gil): "refresher-0"
        recv (libc.so.6)
        Inventory.refresh (shop.py:7)
            Arguments:
                self: <Inventory at 0x7f13ea88e310>

There is no blank line between threads. Three options add to it: ``--locals`` the variables below a frame (the sections
end in ``::`` before 0.3.8), ``--native`` the C frames, ``--subprocesses`` a rule of dashes and a whole dump for each
child, with ``Parent Process N: cmd`` in its header. ``--core FILE`` starts with ``Signal N: file`` and prints no
states. py-spy 0.1 looked different::

    /usr/local/bin/python3.7
    Python version 3.7.16
    Thread 0x7F13B77FE6C0 (active)
    <TAB> get (shop.py:9)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from threaddump_parsers.lines import Lines
from threaddump_parsers.model import Dump, Frame, Thread
from threaddump_parsers.python_frames import DumpReader, clean, number_of, signal_name, text

FORMAT = "py-spy"
FAMILY = "python"
TITLE = "py-spy dump 0.1 to 0.4"
CAPTURE = (
    (
        "py-spy dump --pid PID",
        "--native shows what a C call waits for, --locals timeouts and pool objects; --subprocesses",
    ),
    ("py-spy dump --core FILE", "of a core file"),
)
INITIALS = b"TPS \t"
SIGNATURE = rb"Process \d{1,10}: |Thread (?:0x[0-9a-fA-F]|\d+ \()"
WORDS = (b"Process ", b"Thread ")

STATES = {b"idle": "IDLE", b"active": "ACTIVE", b"active+gil": "ACTIVE", b"idle+gil": "IDLE", b"gil": None}
"""As printed and normalised. ``gil`` alone is what ``--core`` prints: nothing runs in a core file."""

# thread := "Thread " id [" (" state ")"] [': "' name '"'];  id := tid | pthread id in hex | pthread id "/" tid in hex
_ID = rb"Thread (?:(\d{1,20})|0x([0-9A-Fa-f]{1,16})(?:/0x([0-9A-Fa-f]{1,16}))?)"
_THREAD = re.compile(_ID + rb'(?: \(([a-z+]{1,12})\))?(: ".*")?', re.DOTALL)
# A header whose name is broken: by a line break in it, or because the input ends there.
_BROKEN_THREAD = re.compile(_ID + rb' \(([a-z+]{1,12})\)(: ?|: ".*)', re.DOTALL)
_PROCESS = re.compile(rb"Process (\d{1,10}): ?(.*)", re.DOTALL)
_SIGNAL = re.compile(rb"Signal (\d{1,3}): ")

_HEADERS = (b"Thread ", b"Process ", b"Python v", b"Signal ")
_INDENTS = (b"    ", b"\t ")
_SECTIONS = (b"Arguments:", b"Locals:", b"Arguments::", b"Locals::")
C_SOURCES = (b".c", b".h", b".cc", b".cpp", b".cxx", b".hpp", b".hh", b".rs", b".s", b".S", b".asm", b".inc", b".f90")
_HEADER_LINES = 3
"""The process, the interpreter and the blank line stand this close together."""
_CUT_FRAMES = 500


def claims(line: bytes) -> bool:
    """A header line, or the frame that a paste without its first lines starts with."""
    if line.startswith(_HEADERS):
        plain = clean(line)
        match plain[:6]:
            case b"Thread":
                header = _THREAD.fullmatch(plain)
                return header is not None and header[4] in STATES
            case b"Proces":
                return _PROCESS.match(plain) is not None
            case b"Python":
                return _python_version(plain) is not None
            case _:
                return _SIGNAL.match(plain) is not None
    return line.startswith(_INDENTS) and b".py:" in line and line[4:7] != b"at " and _is_frame_line(line)


def parse(lines: Lines) -> Iterator[Dump]:
    """Read a stretch of dumps; nothing where the first line only looks like the header of one."""
    if _is_start(lines):
        yield from _Reader(lines).run(lines)


def _is_start(lines: Lines) -> bool:
    """Whether the claimed line starts a dump: ``Process 7: done`` in a log does not."""
    ahead = [clean(line) for _, line in lines.peek(1 + _HEADER_LINES)]
    if not ahead:
        return False
    first, after = ahead[0], ahead[1:]
    if first.startswith(b"Thread "):
        return True
    if first.startswith((b"Process ", b"Signal ")):
        return any(_python_version(line) for line in after)
    if first.startswith(b"Python v"):
        return any(_THREAD.fullmatch(line) for line in after)
    # A paste that starts in the middle of a thread: the header of the next one has to follow the frames. A run of
    # frames that was refused at its first line is not looked through again at its second.
    if lines.last and _is_frame_line(lines.last[-1][1]):
        return False
    for _, line in lines.peek(_CUT_FRAMES):
        if not line.startswith(_INDENTS):
            return line.startswith(b"Thread ") and claims(line)
    return False


def _python_version(plain: bytes) -> tuple[str, str] | None:
    """``Python v3.11.7 (/usr/bin/python3.11)`` or ``Python version 3.7.16``: the version and the executable."""
    for start in (b"Python version ", b"Python v"):
        if plain.startswith(start) and plain[len(start) : len(start) + 1].isdigit():
            version, _, exe = plain[len(start) :].partition(b" ")
            if not exe or exe.startswith(b"("):
                return text(version), text(exe.strip(b"()"))
    return None


def _is_frame_line(line: bytes) -> bool:
    return line.startswith(_INDENTS) and not line.startswith(b"     ") and _frame(clean(line)) is not None


def _frame(plain: bytes) -> Frame | None:
    """Read ``    name (file:line)`` or, for C code without line numbers, ``    name (file)``.

    File and function may hold blanks, parentheses and colons: the line number follows the last colon, and the file
    starts at the parenthesis that the last one closes.
    """
    if not plain.endswith(b")"):
        return None
    body = plain.strip()[:-1]
    head, _, digits = body.rpartition(b":")
    line = number_of(digits)
    if line is not None:
        body = head
    at = body.find(b" (")
    if at != body.rfind(b" ("):
        at = _last_group(body)
    if at <= 0 or at + 2 == len(body):
        return None
    file = body[at + 2 :]
    return Frame(text(body[:at]), text(file), line, _is_native(file, line))


def _last_group(body: bytes) -> int:
    """Where `` (`` opens the group that the end of ``body`` leaves open."""
    depth = 0
    for at in range(len(body) - 1, 0, -1):
        if body[at] == ord(")"):
            depth += 1
        elif body[at] == ord("("):
            if depth == 0:
                return at - 1 if body[at - 1] == ord(" ") else body.rfind(b" (")
            depth -= 1
    return body.rfind(b" (")


def _is_native(file: bytes, line: int | None) -> bool:
    """C frames name a shared object, or the C source where the library has line numbers (``socketmodule.c:921``)."""
    if line is None:
        return not file.endswith(b".py") and not file.startswith(b"<")
    return file.endswith(C_SOURCES)


class _Reader(DumpReader):
    FORMAT = FORMAT
    BEGINNINGS = (*_INDENTS, *_HEADERS)

    def __init__(self, lines: Lines) -> None:
        super().__init__(_frame)
        self.gap.extend(lines.last)  # the executable's path, which 0.1 prints first, or a process without its number
        self._variables: dict[str, str] = {}
        self._depth = 0
        """Variables are read for the frame number ``_depth``, counted from 1, while no frame came after it."""
        self._core = False
        self._flat = False
        """Whether the leading blanks are lost, as in a paste from a chat."""

    def read(self, number: int, line: bytes) -> bool:
        # frame  := 4 blanks name " (" file [":" line] ")"
        # locals := 8 blanks ("Arguments:" | "Locals:"), then lines of 12 blanks name ": " value
        if line.startswith(b"        "):
            return self._read_variables(number, line)
        if line.startswith((b"    ", b"\t")):
            frame = self.table.frame(line)
            if frame is None:
                if line.strip():
                    self.complain(number, "an indented line that is neither a frame nor a variable", line)
                return False
            self.add_frame(number, frame)
            return True
        plain = clean(line)
        if not plain:
            return False
        if plain.startswith(b"Thread ") and self._read_thread(number, line):
            return True
        if plain.startswith(b"Python v") and self._read_version(number, plain):
            return True
        dump = self.dump
        if dump is not None and not dump.threads and plain.startswith(b"Parent Process "):
            return True
        return self._read_flat(number, plain)

    def _read_thread(self, number: int, line: bytes) -> bool:
        plain = clean(line)
        header = _THREAD.fullmatch(plain)
        broken = header is None
        header = header or _BROKEN_THREAD.fullmatch(plain)
        if header is None:
            self.complain(number, "a thread header that cannot be read", plain)
            return False
        printed, name = header[4], header[5] or b""
        stateless = bool(name) or (self._core and line.endswith(b"\n"))
        if not (stateless if printed is None else printed in STATES):
            # Only a core file has headers without a state. With a name they cannot be anything else; without one and
            # without an end the number may be cut.
            self.complain(number, "a thread header without a known state", plain)
            return False
        thread = Thread(text(name[3:] if broken else name[3:-1]), number)
        if printed is not None:
            thread.state, thread.printed_state = STATES[printed], text(printed)
            thread.gil = printed.endswith(b"gil")
        tid, pthread, tid_in_hex = header[1], header[2], header[3]
        if pthread is not None:
            thread.address = hex(int(pthread, 16))
        if tid is not None or tid_in_hex is not None:
            thread.native_id = int(tid) if tid is not None else int(tid_in_hex, 16)
        # 0 is what py-spy prints when it could not find out: it tells nobody apart.
        self.add_thread(thread, str(thread.native_id or thread.address) if thread.native_id != 0 else None)
        if broken:
            self.complain_now(number, "a thread header that is not complete", plain)
        return True

    def _read_version(self, number: int, plain: bytes) -> bool:
        # header := ["Signal " n ": " file] "Process " pid ": " cmdline, "Python v" version [" (" exe ")"]
        # The lines before this one waited in the gap: alone they may be the log of the application.
        found = _python_version(plain)
        if found is None:
            return False
        version, exe = found
        before = [(at, clean(line)) for at, line in self.gap if number - at < _HEADER_LINES]
        start, pid, command, died = number, None, None, None
        for at, line in reversed(before):
            process = _PROCESS.fullmatch(line)
            if process is not None:
                start, pid, command = at, int(process[1]), text(process[2]).rstrip()
            elif (signal := _SIGNAL.match(line)) is not None and pid is not None:
                start, died = at, signal_name(int(signal[1]))
            elif plain.startswith(b"Python version") and at == number - 1 and b"python" in line.lower():
                start, command = at, text(line)
        dump = self.begin(start, number)
        dump.version, dump.pid, dump.command, dump.died = version, pid, command or exe or None, died
        self._core = not exe and not plain.startswith(b"Python version")
        self._flat = False
        return True

    def _read_variables(self, number: int, line: bytes) -> bool:
        plain = clean(line)
        body = plain[8:]
        if body in _SECTIONS:
            return self._open_section(number, plain)
        if not body.startswith(b"    "):
            if body:
                self.complain(number, "an indented line that is neither a frame nor a variable", plain)
            return False
        name, colon, value = body[4:].partition(b":")
        if not colon or not self._in_section():
            self.complain(number, "a variable without a frame" if colon else "a variable without a value", plain)
            return False
        self.grammar()
        self._variables[text(name)] = text(value[1:])
        return True

    def _open_section(self, number: int, plain: bytes) -> bool:
        thread = self.thread
        if thread is None or not self.stack:
            self.complain(number, "variables without a frame", plain)
            return False
        self.grammar()
        if thread.locals is None:
            thread.locals = {}
        self._depth = len(self.stack)
        self._variables = thread.locals.setdefault(self._depth - 1, {})
        return True

    def _in_section(self) -> bool:
        thread = self.thread
        return thread is not None and thread.locals is not None and len(self.stack) == self._depth

    def _read_flat(self, number: int, plain: bytes) -> bool:
        """Read a line of a paste that lost its indentation: the first line below a header tells."""
        thread = self.thread
        if thread is None or not (self._flat or (not self.stack and not self.gap)):
            return False
        if plain in _SECTIONS:
            return self._flat and self._open_section(number, plain)
        name, colon, value = plain.partition(b": ")
        if self._flat and self._in_section() and colon and b" " not in name:
            self.grammar()
            self._variables[text(name)] = text(value)
            return True
        frame = self.table.frame(plain)
        if frame is None or (frame.line is None and not self._flat):
            return False
        self._flat = True
        self.add_frame(number, frame)
        return True
