"""Inputs by URL (``s3://``, ``gs://``, ``https://``, ``memory://``), read through fsspec, which an extra brings.

What a file system raises is its own: every error becomes one of ours, with what to do about it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from threaddump.sources import BUFFER, InputError, Source

_BY_PATTERN = "*?["


@dataclass(slots=True, frozen=True)
class Remote(Source):
    """An input by URL, which is its name: it is read once, from front to back."""

    error: InputError | None = None
    """Why the URL could not be listed: told when it is opened, like a file that is missing."""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        if self.error is not None:
            raise self.error
        fsspec = _fsspec(self.name)
        try:
            file = fsspec.open(self.name, "rb").open()
        except Exception as error:
            raise _cannot(self.name, error) from error
        try:
            yield io.BufferedReader(_Raw(file), BUFFER)
        finally:
            file.close()


class _Raw(io.RawIOBase):
    """The bytes of a file of fsspec; the ways to read in blocks differ between its file systems."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except Exception as error:
            raise OSError(_reason(error)) from error
        buffer[: len(data)] = data
        return len(data)


def expand(url: str) -> list[Source]:
    """The sources that a URL names: itself, what a pattern matches, or all below a folder, where it can be listed."""
    try:
        return _listed(url)
    except InputError as error:
        return [Remote(url, None, error=error)]


def _listed(url: str) -> list[Source]:
    fsspec = _fsspec(url)
    web = url.startswith(("http://", "https://"))
    try:
        system, path = fsspec.core.url_to_fs(url)
        if any(mark in path for mark in ("*" if web else _BY_PATTERN)):  # a web address may have ? and [
            found = sorted(system.glob(path))
            return [Remote(system.unstrip_protocol(name), None) for name in found] or [Remote(url, None)]
        if url.endswith("/") or (not web and system.isdir(path)):
            names = [name for name in sorted(system.find(path)) if not name.rpartition("/")[2].startswith(".")]
            if names:
                return [Remote(system.unstrip_protocol(name), None, named=False) for name in names]
            raise InputError(f"{url}: the folder has no files", "name a folder with dump files")
    except InputError:
        raise
    except Exception as error:
        raise _cannot(url, error) from error
    return [Remote(url, None)]


def _fsspec(url: str) -> Any:
    try:
        import fsspec
        import fsspec.core
    except ImportError as error:
        raise InputError(
            f"{url}: reading from a URL needs fsspec",
            "pip install 'threaddump[remote]', or fetch it and name the file",
        ) from error
    return fsspec


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:300]


def _cannot(url: str, error: Exception) -> InputError:
    scheme = url.partition("://")[0]
    while isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # file systems say so as well where a server refuses, or is not there
    if isinstance(error, ImportError):
        package = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
        wanted = package.get(scheme)
        hint = f"pip install {wanted}" if wanted else "install what the message names"
        return InputError(f"{url}: reading from {scheme}:// needs another package: {_reason(error)}", hint)
    if isinstance(error, FileNotFoundError) or getattr(error, "status", None) == 404:
        return InputError(f"{url}: there is no such file", "check the address, and that it can be read without a login")
    if isinstance(error, PermissionError):
        return InputError(f"{url}: it may not be read: {_reason(error)}", "log in first, or check the credentials")
    return InputError(f"{url}: cannot be read: {_reason(error)}", "check the address, the network and the credentials")
