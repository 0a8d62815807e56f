"""Archives and compressed files, known by their bytes and not by their names: each text in them is a source of its own.

Everything is unpacked while it is read and nothing is ever written to disk, so names of members cannot do harm. Only a
zip archive, whose directory stands at its end, has to be seekable: where it is not a file it is kept in memory.

What is packed is hostile: depth, number of members, size and ratio are bounded. What is cut short or damaged gives what
could be read, and the source says in ``damage`` what was wrong.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from threaddump.sources import BUFFER, InputError, Source, reading_failed

if TYPE_CHECKING:
    from zipfile import ZipInfo

HEAD = 512
"""Bytes that tell what a file is: a block of tar."""
DEPTH = 4
"""Layers that are unpacked: a zip archive with a compressed tar archive of compressed files has that many."""
MEMBERS = 10_000
TOTAL = 64 << 30
RATIO = 1000
"""Dumps become 10 to 100 times smaller, hundreds of equal ones in a large window more, zeros more than 1000 times."""
FREE = 256 << 20
"""Bytes up to which no ratio is too big: a second of work."""
SPOOL = 128 << 20
"""Bytes of a zip archive that are kept in memory where it is not a file."""
DIRECTORY = 16 << 20
"""Bytes of a zip archive's directory: ``zipfile`` reads it whole."""
HEADERS = 1 << 20
"""Bytes between two members of a tar archive: ``tarfile`` reads headers whole."""

T = TypeVar("T")
Errors = tuple[type[Exception], ...]
_COMPRESSED = {
    "gzip": b"\x1f\x8b\x08",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lzma": b"\x5d\x00\x00",
}
_BY_HAND = {
    "bzip2": "bunzip2 -c FILE | threaddump analyze",
    "xz": "xz -dc FILE | threaddump analyze",
    "lzma": "xz -dc --format=lzma FILE | threaddump analyze",
    "zstd": "zstd -dc FILE | threaddump analyze",
    "zip": "unzip -p FILE MEMBER | threaddump analyze",
}
_AGAIN = "copy the file again, and compare the sizes"
_ZIP_AGAIN = "copy the file again, or repair it: zip -FF FILE --out REPAIRED.zip"
_SPLIT = "unpack it, and name the file with the thread dump"


@dataclass(slots=True, frozen=True, kw_only=True)
class Unpacked(Source):
    """A text that is unpacked while it is read: once, and before the next one is asked for."""

    stream: BinaryIO = field(repr=False, compare=False)
    damage: list[str] = field(default_factory=list, repr=False, compare=False)
    """What was wrong with the packed bytes as far as they were read: behind that place there is nothing."""
    error: InputError | None = None
    """Why it cannot be unpacked."""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        if self.error is not None:
            raise self.error
        yield self.stream


def from_each(
    source: Source, read: Callable[[Source], Iterable[T]], on_error: Callable[[Source, InputError], None]
) -> Iterator[tuple[Source, T]]:
    """What ``read`` gives for the source or, if it is packed, for each text in it, with the text's own source.

    Members that cannot be used are handed to ``on_error`` and the rest goes on; if none can be used, one error says so
    for the whole source.
    """
    failed: list[tuple[Source, InputError]] = []
    given = 0
    try:
        for text in unpacked(source):
            try:
                for value in read(text):
                    given += 1
                    yield text, value
            except InputError as error:
                failed.append((text, error))
    except InputError as error:
        failed.append((source, error))
    if given or len(failed) == 1:
        for text, reason in failed:
            on_error(text if given else source, reason)
    elif failed:
        text, reason = failed[-1]
        if text is not source:
            _, first = failed[0]
            number = len(failed)
            reason = InputError(f"{source.name}: no thread dump in any of its {number} members; {first}", first.hint)
        on_error(source, reason)


def unpacked(source: Source) -> Iterator[Source]:
    """The source itself or, if it is packed, the texts in it, each to be read before the next is asked for.

    Raises InputError where it cannot be opened, or not be unpacked any further.
    """
    with source.open() as stream:
        # What is not a regular file (a pipe, also one with a name) gives its bytes only once.
        again = source.path is not None and source.path.is_file()
        try:
            head = stream.read(HEAD)
            if not again or kind_of(head) is not None:
                if again:
                    stream.seek(0)
                meter = _Meter(stream, b"" if again else head)
                yield from _Unpacker(source, meter, seekable=again).texts(_buffered(meter), None, DEPTH, [])
                return
        except OSError as error:
            raise reading_failed(source.label, error) from error
    yield source


def kind_of(head: bytes) -> str | None:
    """How a file that begins so is packed; None where it is not."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04")):
        return "zip"
    for kind, magic in _COMPRESSED.items():
        if head.startswith(magic) and (kind not in _CHECKS or _CHECKS[kind](head)):
            return kind
    return "tar" if len(head) == HEAD and _is_tar(head) else None


def _is_bzip2(head: bytes) -> bool:
    return b"1" <= head[3:4] <= b"9" and head[4:10] in {b"1AY&SY", b"\x17rE8P\x90"}


def _is_lzma(head: bytes) -> bool:
    """No magic: the dictionary's size is a power of two, the text's below 1 TB or unknown, and a zero follows."""
    small = head[3:5].strip(b"\x00") in {bytes([1 << bit]) for bit in range(8)}
    return small and (head[5:13] == b"\xff" * 8 or head[10:13] == bytes(3)) and head[13:14] == b"\x00"


def _is_tar(block: bytes) -> bool:
    """By the sum of the header's bytes, its own field taken for blanks: old archives have no magic."""
    try:
        wanted = int(block[148:156].strip(b" \x00") or b"x", 8)
    except ValueError:
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    return wanted in {sum(rest), sum(struct.unpack("512b", rest))}


_CHECKS: dict[str, Callable[[bytes], bool]] = {"bzip2": _is_bzip2, "lzma": _is_lzma}


class _StoppedError(Exception):
    """The bounds are reached."""


class _Meter(io.RawIOBase):
    """The bytes of the input, counted; ``head`` is what was already read of them."""

    def __init__(self, stream: BinaryIO, head: bytes) -> None:
        self._stream, self._head = cast(io.BufferedIOBase, stream), head
        self._read = self._made = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        data = data or self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        self._read += len(data)
        return len(data)

    def spend(self, size: int) -> None:
        """Count what was made of the bytes; raises _StoppedError where it is too much."""
        self._made += size
        if self._made > FREE and self._made > RATIO * self._read:
            raise _StoppedError(f"it unpacks to more than {RATIO} times its size")
        if self._made > TOTAL:
            raise _StoppedError(f"it unpacks to more than {TOTAL >> 30} GB")


class _Reader(io.RawIOBase):
    """A layer's bytes up to the place where they cannot be read any more; ``damage`` then says why."""

    def __init__(
        self, stream: IO[bytes], errors: Errors, what: str, damage: list[str], meter: _Meter, crc: int | None = None
    ) -> None:
        self._stream, self._what = cast(io.BufferedIOBase, stream), what
        self._errors: Errors = (_StoppedError, *errors)
        self._damage, self._meter = damage, meter
        self._wanted_crc, self._crc, self._ended = crc, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._ended:
            return 0
        try:
            data = self._stream.read1(len(buffer))
            self._meter.spend(len(data))
        except self._errors as error:
            _raise_if_of_the_disk(error)
            self._ended = True
            self._damage.append(f"{self._what} {_reason(error)}")
            return 0
        buffer[: len(data)] = data
        if self._wanted_crc is not None:
            from zlib import crc32

            self._crc = crc32(data, self._crc)
            if not data and self._crc != self._wanted_crc:
                self._ended = True
                self._damage.append(f"{self._what} is damaged: the sum of its data is wrong")
        return len(data)


def damage_hint(damage: str) -> str:
    """What to do about an entry of ``Unpacked.damage``."""
    return _SPLIT if "not read further" in damage else _AGAIN


def _raise_if_of_the_disk(error: Exception) -> None:
    """Modules for archives raise OSError as well where the data is damaged, but without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _reason(error: Exception) -> str:
    if isinstance(error, _StoppedError):
        return f"is not read further: {error}"
    if isinstance(error, EOFError) or "unexpected end" in str(error):
        return "is cut short"
    return f"is damaged: {error}"


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, BUFFER)


class _Unpacker:
    """Unpacks one source, layer by layer."""

    def __init__(self, source: Source, meter: _Meter, seekable: bool) -> None:
        self._source, self._meter, self._seekable = source, meter, seekable
        self._members = 0

    def texts(self, stream: io.BufferedReader, member: str | None, depth: int, damage: list[str]) -> Iterator[Source]:
        """The texts in a stream, which is a text itself if it is not packed."""
        kind = kind_of(stream.peek(HEAD)[:HEAD])
        if kind is None:
            named = self._source.named and member is None
            yield Unpacked(self._source.name, None, named, member=member, damage=damage, stream=stream)
        elif depth == 0:
            yield self._unusable(member, f"it is packed more than {DEPTH} times", _SPLIT)
        elif kind in _COMPRESSED:
            yield from self._compressed(stream, kind, member, depth, damage)
        else:
            archive = self._zip if kind == "zip" else self._tar
            before = self._members
            yield from archive(stream, member, depth, damage)
            if damage:
                raise self._error(member, damage[0], _ZIP_AGAIN if kind == "zip" else damage_hint(damage[0]))
            if self._members == before:
                yield self._unusable(member, f"the {kind} archive is empty", "name a file with thread dumps")

    def _compressed(
        self, stream: io.BufferedReader, kind: str, member: str | None, depth: int, damage: list[str]
    ) -> Iterator[Source]:
        try:
            file, errors = _decompressor(kind, stream)
        except ImportError:
            yield self._unusable(member, f"this Python cannot unpack {kind}", _BY_HAND[kind])
            return
        reader = _Reader(file, errors, f"the {kind} data", damage, self._meter)
        yield from self.texts(_buffered(reader), member, depth - 1, damage)

    def _tar(self, stream: io.BufferedReader, member: str | None, depth: int, damage: list[str]) -> Iterator[Source]:
        import tarfile
        import zlib

        errors: Errors = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError)
        limited, rest = _Limited(stream), bytearray(BUFFER)
        try:
            with tarfile.open(fileobj=cast(IO[bytes], limited), mode="r|") as archive:
                while (info := archive.next()) is not None:
                    cast(Any, archive).members.clear()  # it keeps them all
                    limited.left = info.size + HEADERS
                    if not info.isreg() or _hidden(info.name):
                        continue
                    file = archive.extractfile(info)
                    assert file is not None
                    own: list[str] = []
                    reader = _Reader(file, errors, "the tar archive", own, self._meter)
                    yield from self._member(_buffered(reader), _inside(member, info.name), depth, own)
                    while reader.readinto(rest):
                        pass  # what nobody has read: it may be cut short
                    if own:
                        damage += own
                        return
        except errors as error:
            _raise_if_of_the_disk(error)
            damage.append(f"the tar archive {_reason(error)}")

    def _zip(self, stream: io.BufferedReader, member: str | None, depth: int, damage: list[str]) -> Iterator[Source]:
        import zipfile
        import zlib

        errors: Errors = (zipfile.BadZipFile, EOFError, zlib.error, OSError, ValueError, *_lzma_errors())
        file = stream if self._seekable and depth == DEPTH else self._spooled(stream)
        try:
            if _directory_size(file) > DIRECTORY:
                raise self._error(member, f"it has more than {MEMBERS} members", _BY_HAND["zip"])
            archive = zipfile.ZipFile(file)
            entries: list[_Entry] = [(info, partial(archive.open, info)) for info in archive.infolist()]
        except errors as error:
            _raise_if_of_the_disk(error)
            damage.append("the zip archive is cut short or damaged: its directory cannot be read")
            entries = list(islice(_without_directory(file), MEMBERS))
        for info, opened in entries:
            if info.is_dir() or _hidden(info.filename):
                continue
            name = _inside(member, info.filename)
            own: list[str] = []
            # With the sum zipfile would drop the last block of damaged data: it is compared here.
            crc, info.CRC = info.CRC, None  # type: ignore[assignment]
            try:
                if info.flag_bits & 1:
                    raise self._error(name, "it is encrypted", f"with its password: {_BY_HAND['zip']}")
                content = opened()
            except InputError as error:
                yield from self._unread(name, error)
            except (NotImplementedError, RuntimeError) as error:
                reason = f"it is packed in a way that is not known here: {error}"
                yield from self._unread(name, self._error(name, reason, "7z x -so FILE MEMBER | threaddump analyze"))
            except errors as error:
                _raise_if_of_the_disk(error)
                yield from self._unread(name, self._error(name, f"the zip archive {_reason(error)}", _ZIP_AGAIN))
            else:
                reader = _Reader(content, errors, "the zip archive", own, self._meter, crc)
                yield from self._member(_buffered(reader), name, depth, own)

    def _member(self, stream: io.BufferedReader, name: str, depth: int, damage: list[str]) -> Iterator[Source]:
        self._count()
        try:
            yield from self.texts(stream, name, depth - 1, damage)
        except InputError as error:
            yield Unpacked(self._source.name, None, False, member=name, stream=stream, error=error)
        try:
            self._meter.spend(0)
        except _StoppedError as error:
            raise self._error(None, f"{error}: not read further", _SPLIT) from error

    def _unread(self, name: str, error: InputError) -> Iterator[Source]:
        self._count()
        yield Unpacked(self._source.name, None, False, member=name, stream=io.BytesIO(), error=error)

    def _count(self) -> None:
        self._members += 1
        if self._members > MEMBERS:
            raise self._error(None, f"it has more than {MEMBERS} members: not read further", _SPLIT)

    def _spooled(self, stream: BinaryIO) -> BinaryIO:
        data = io.BytesIO()
        while block := stream.read(BUFFER):
            data.write(block)
            if data.tell() > SPOOL:
                reason = f"a zip archive of more than {SPOOL >> 20} MB has to be a file"
                raise self._error(None, reason, "threaddump analyze FILE.zip")
        return data

    def _unusable(self, member: str | None, reason: str, hint: str) -> Source:
        error = self._error(member, reason, hint)
        named = self._source.named and member is None
        return Unpacked(self._source.name, None, named, member=member, stream=io.BytesIO(), error=error)

    def _error(self, member: str | None, reason: str, hint: str) -> InputError:
        return InputError(f"{Source(self._source.name, None, member=member).label}: {reason}", hint)


_Entry = tuple["ZipInfo", Callable[[], IO[bytes]]]
"""A member of a zip archive, and what opens it."""


class _Limited:
    """What ``tarfile`` may read until the next member: a hostile header may say that it goes on for gigabytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.left = stream, HEADERS

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("a header is too long")
        return data


def _hidden(name: str) -> bool:
    """As in folders, and what macOS adds to archives."""
    return name.replace("\\", "/").rpartition("/")[2].startswith(".") or name.startswith("__MACOSX/")


def _inside(member: str | None, name: str) -> str:
    name = name.removeprefix("./")
    return name if member is None else f"{member}/{name}"


def _directory_size(file: BinaryIO) -> int:
    """The size of a zip archive's directory, from the record at its end; 0 where there is none."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))
    end = file.read()
    at = end.rfind(b"PK\x05\x06")
    return int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0


def _without_directory(file: BinaryIO) -> Iterator[_Entry]:
    """The members of a zip archive by the headers in front of them; each ends at the next one at the latest."""
    import re
    from zipfile import ZipExtFile, ZipInfo

    signature = re.compile(rb"PK\x03\x04[\x0a-\x3f]\x00")
    starts: list[int] = []
    size = end = file.seek(0, io.SEEK_END)
    for offset in range(0, size, BUFFER):
        file.seek(offset)
        block = file.read(BUFFER + 5)
        starts += [offset + match.start() for match in signature.finditer(block) if match.start() < BUFFER]
        end = next((offset + at for at in [block.find(b"PK\x01\x02")] if at >= 0 and starts), end)

    def content(info: ZipInfo) -> IO[bytes]:
        file.seek(info.header_offset)
        return cast(IO[bytes], ZipExtFile(file, "r", info))

    for start, behind in pairwise([*starts, end]):
        file.seek(start)
        header = file.read(30)
        if len(header) < 30:
            return
        flags, method = struct.unpack("<HH", header[6:10])
        crc, packed, _, name_size, extra_size = struct.unpack("<IIIHH", header[14:30])
        name = file.read(name_size).decode("utf-8" if flags & 0x800 else "cp437", "replace").replace("\x00", "")
        info = ZipInfo(name or "?")
        info.flag_bits, info.compress_type, info.header_offset = flags, method, start + 30 + name_size + extra_size
        left = max(0, behind - info.header_offset)
        # Written to a pipe: sizes and sum stand behind the data, which says itself where it ends.
        info.compress_size = packed if packed and not flags & 8 else left
        info.file_size = 1 << 62
        info.CRC = crc if not flags & 8 else None  # type: ignore[assignment]  # not compared
        yield info, partial(content, info)


def _decompressor(kind: str, stream: BinaryIO) -> tuple[IO[bytes], Errors]:
    """The file that unpacks a stream, and what it raises on damaged data. ImportError: this Python cannot."""
    if kind == "gzip":
        import gzip
        import zlib

        return cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb")), (OSError, EOFError, zlib.error)
    if kind == "bzip2":
        import bz2

        return bz2.BZ2File(stream), (OSError, EOFError, ValueError)
    if kind == "zstd":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        return cast(IO[bytes], zstd.ZstdFile(stream)), (OSError, EOFError, zstd.ZstdError)
    import lzma

    return lzma.LZMAFile(stream), (OSError, EOFError, lzma.LZMAError)


def _lzma_errors() -> Errors:
    """What a zip archive with such members may raise, where this Python can read them."""
    try:
        import lzma
    except ImportError:
        return ()
    return (lzma.LZMAError,)
