"""What the command line names, as inputs that can be opened: files, folders, globs, URLs and standard input."""

from __future__ import annotations

import glob
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

STDIN = "<stdin>"
is_url = re.compile(r"[a-z][a-z0-9+.-]*://").match
BUFFER = 1 << 18


class InputError(Exception):
    """An input that cannot be used: the message says why, ``hint`` what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return self.message


@dataclass(slots=True, frozen=True)
class Part:
    """A stretch of a file: the offsets of its first byte and of the byte behind its last."""

    start: int
    end: int


class _Window(io.RawIOBase):
    """The bytes of a part, as if they were a file of their own."""

    def __init__(self, raw: io.RawIOBase, length: int) -> None:
        self._raw, self._left = raw, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._raw.readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= read
        return read


@dataclass(slots=True, frozen=True)
class Source:
    """One input. ``named`` is false for a file that only its folder was named for."""

    name: str
    path: Path | None
    named: bool = True
    part: Part | None = None
    """Set where a big file is read in parts."""
    member: str | None = None
    """What an archive calls it: lines are lines of the member."""

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.name if self.member is None else f"{self.name}:{self.member}"

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes; raises InputError where they cannot be read."""
        if self.path is None:
            if sys.stdin is None:
                raise InputError(f"{self.name}: standard input is closed", "pipe a dump in, or name a file")
            yield sys.stdin.buffer
            return
        try:
            stream = self.path.open("rb", buffering=BUFFER)
        except IsADirectoryError as error:
            raise InputError(f"{self.name}: the folder has no files", "name a folder with dump files") from error
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror or error}", _open_hint(error)) from error
        with stream:
            if self.part is None:
                yield stream
                return
            with self.path.open("rb", buffering=0) as raw:
                raw.seek(self.part.start)
                yield io.BufferedReader(_Window(raw, self.part.end - self.part.start), BUFFER)

    def first_line(self) -> int:
        """The number of the first line: 1, but for a part that begins further on."""
        if self.path is None or self.part is None or self.part.start == 0:
            return 1
        with self.path.open("rb") as stream:
            blocks = (self.part.start - offset for offset in range(0, self.part.start, BUFFER))
            return 1 + sum(stream.read(min(left, BUFFER)).count(b"\n") for left in blocks)


def reading_failed(label: str, error: OSError) -> InputError:
    """What to say where bytes that could be opened cannot be read."""
    return InputError(f"{label}: reading failed: {error.strerror or error}", "check that it is a readable file")


def _open_hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "check the path; a dump can be piped in as well: jcmd PID Thread.print -l -e | threaddump analyze"
    if isinstance(error, PermissionError):
        return "read it as its owner: sudo cat FILE | threaddump analyze"
    return "check that it is a readable file"


def expand(arguments: Sequence[str]) -> list[Source]:
    """The sources that the arguments name; standard input where there are none and it is not a terminal.

    Raises InputError where nothing is named on a terminal.
    """
    if not arguments:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError(
                "no input: name a dump file or pipe one in",
                "threaddump analyze dump.txt   or   py-spy dump --pid PID | threaddump analyze",
            )
        return [Source(STDIN, None)]
    sources: list[Source] = []
    for argument in arguments:
        if argument == "-":
            sources.append(Source(STDIN, None))
            continue
        if is_url(argument):
            from threaddump import remote

            sources += remote.expand(argument)
            continue
        path = Path(argument)
        if path.is_dir():
            sources += _folder(path)
        elif not path.exists() and glob.has_magic(argument):
            sources += [Source(name, Path(name)) for name in sorted(glob.glob(argument, recursive=True))] or [
                Source(argument, path)
            ]
        else:
            sources.append(Source(argument, path))
    return sources


def _folder(path: Path) -> list[Source]:
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    # A folder without files is an input that cannot be used, like a missing file: said when it is opened.
    return [Source(str(file), file, named=False) for file in files] or [Source(str(path), path)]
