"""Where captures go: a folder (a file each), one file (all of them), standard output, or a URL."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Protocol

from threaddump.capture import Capture
from threaddump.sources import InputError, is_url

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Keeper(Protocol):
    """Somewhere that captures are kept."""

    def keep(self, capture: Capture) -> str:
        """Write a capture and return where it is now. Raises InputError where it cannot be written."""
        ...


def keeper(output: str) -> Keeper:
    """What ``--output`` names. Raises InputError where it cannot be used."""
    if output == "-":
        return _StandardOutput()
    if is_url(output):
        return _Url(output)
    path = Path(output)
    if path.is_dir() or output.endswith(("/", os.sep)):
        return _Folder(path)
    return _File(path)


def file_name(capture: Capture) -> str:
    """``orders-4711-20261125T095045Z.txt``; a name of its own for each round."""
    name = _UNSAFE.sub("-", capture.target.name.rpartition("/")[2]).strip("-.")[:60] or "process"
    return f"{name}-{capture.target.pid}-{capture.taken_at:%Y%m%dT%H%M%S}.{capture.round}.txt"


class _StandardOutput:
    def keep(self, capture: Capture) -> str:
        sys.stdout.buffer.write(capture.text)
        sys.stdout.buffer.flush()
        return "standard output"


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, capture: Capture) -> str:
        path = self._path / file_name(capture)
        # The whole file or none: a disk that is full must not leave one that looks complete.
        partial = path.with_name(f".{path.name}.part")
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as file:
                file.write(capture.text)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise _cannot(str(path), error) from error
        return str(path)


class _File:
    """One file; each round is added to it, and the rounds before stay what they are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = False

    def keep(self, capture: Capture) -> str:
        size = 0
        try:
            with self._path.open("ab" if self._begun else "wb") as file:
                size = file.tell()
                self._begun = True
                file.write(capture.text + b"\n")
        except OSError as error:
            self._cut(size)
            raise _cannot(str(self._path), error) from error
        return str(self._path)

    def _cut(self, size: int) -> None:
        try:
            if self._begun:
                os.truncate(self._path, size)
        except OSError:
            pass  # what was written of this round stays, and is reported as a dump that was cut


class _Url:
    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            raise InputError(
                f"{url}: writing to a URL needs fsspec", "pip install 'threaddump[remote]', or name a folder"
            ) from error
        self._open = fsspec.open
        self._url = url

    def keep(self, capture: Capture) -> str:
        url = self._url.rstrip("/") + "/" + file_name(capture)
        try:
            with self._open(url, "wb") as file:
                file.write(capture.text)
        except Exception as error:
            raise InputError(f"{url}: cannot be written: {error}", "name a folder with --output") from error
        return url


def _cannot(path: str, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written: {error.strerror or error}",
        "name another place with --output DIR, or - for standard output",
    )
