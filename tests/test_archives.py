"""Archives and compressed files: every dump in them is found, and nothing that is packed does harm."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import struct
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goldens
import threaddump
from threaddump import archives, cli, fanout
from threaddump.analysis import analyze
from threaddump.archives import kind_of, unpacked
from threaddump.report import Report
from threaddump.sources import InputError, Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

A = goldens.content("hotspot/deadlock-two.txt")
B = goldens.content("py-spy/python-3.12.txt")
C = goldens.content("faulthandler/python-3.12.txt")
Files = dict[str, bytes]


def in_zip(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


class Pipe(io.RawIOBase):
    """A file that cannot be sought in: what writes zip archives to it has to put sizes behind the data."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.content += bytes(data)  # type: ignore[call-overload]
        return len(data)  # type: ignore[arg-type]


def in_piped_zip(files: Files) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return pipe.content


def in_tar(files: Files, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def v7_tar(files: Files) -> bytes:
    """Before POSIX: no magic in the header."""
    content = bytearray(in_tar(files, tarfile.USTAR_FORMAT))
    content[257:265] = bytes(8)
    header = content[:148] + b" " * 8 + content[156:512]
    content[148:156] = b"%06o\x00 " % sum(header)
    return bytes(content)


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda raw: lzma.compress(raw, lzma.FORMAT_ALONE),
    "zstd": zstd.compress,
}


def report_on(content: bytes, name: str = "dump.txt") -> tuple[Report, list[tuple[str | None, InputError]]]:
    errors: list[tuple[str | None, InputError]] = []
    report = analyze([goldens.source(content, name)], lambda source, error: errors.append((source.member, error)))
    return report, errors


def found(content: bytes) -> list[tuple[str | None, str, int, int]]:
    report, errors = report_on(content)
    assert not errors, errors
    return [(dump.member, dump.format, dump.total, dump.line) for dump in report.dumps]


THREADS = {name: found(content)[0][1:] for name, content in {"a": A, "b": B, "c": C}.items()}


def test_the_dumps_of_this_test() -> None:
    assert [THREADS[name][0] for name in "abc"] == ["hotspot", "py-spy", "faulthandler"]


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_compressed_dump_is_the_dump(kind: str) -> None:
    packed = COMPRESSIONS[kind](A)
    assert kind_of(packed[: archives.HEAD]) == kind
    assert found(packed) == [(None, *THREADS["a"])]


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_compressed_files_may_be_joined(kind: str) -> None:
    cut = len(A) // 2
    packed = COMPRESSIONS[kind](A[:cut]) + COMPRESSIONS[kind](A[cut:]) + COMPRESSIONS[kind](b"\n\n" + B)
    assert [(form, total) for _, form, total, _ in found(packed)] == [THREADS[name][:2] for name in "ab"]


FILES: Files = {"dumps/a.txt": A, "dumps/b.txt": B, "c": C}
EXPECTED = [("dumps/a.txt", *THREADS["a"]), ("dumps/b.txt", *THREADS["b"]), ("c", *THREADS["c"])]
ARCHIVES: dict[str, Callable[[Files], bytes]] = {
    "zip": in_zip,
    "zip-stored": lambda files: in_zip(files, zipfile.ZIP_STORED),
    "zip-bzip2": lambda files: in_zip(files, zipfile.ZIP_BZIP2),
    "zip-lzma": lambda files: in_zip(files, zipfile.ZIP_LZMA),
    "zip-to-a-pipe": in_piped_zip,
    "tar": in_tar,
    "tar-gnu": lambda files: in_tar(files, tarfile.GNU_FORMAT),
    "tar-v7": v7_tar,
    **{f"tar-{kind}": lambda files, pack=pack: pack(in_tar(files)) for kind, pack in COMPRESSIONS.items()},  # type: ignore[misc]
    "zip-in-zip": lambda files: in_zip({"inner.zip": in_zip(files)}),
    "tar-in-zip": lambda files: in_zip({"inner.tar": in_tar(files)}),
    "zip-in-tar-gzip": lambda files: gzip.compress(in_tar({"inner.zip": in_zip(files)})),
    "gzip-in-gzip": lambda files: gzip.compress(gzip.compress(in_tar(files))),
    "gzip-in-tar-gzip-in-zip": lambda files: in_zip(
        {"inner.tgz": gzip.compress(in_tar({name: gzip.compress(content) for name, content in files.items()}))}
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_is_its_members(kind: str) -> None:
    expected = EXPECTED
    inner = {"zip-in-zip": "inner.zip", "tar-in-zip": "inner.tar", "zip-in-tar-gzip": "inner.zip",
             "gzip-in-tar-gzip-in-zip": "inner.tgz"}.get(kind)  # fmt: skip
    if inner is not None:
        expected = [(f"{inner}/{member}", *rest) for member, *rest in EXPECTED]
    assert found(ARCHIVES[kind](FILES)) == expected


@pytest.mark.parametrize("kind", ARCHIVES)
def test_lines_are_lines_of_the_member(kind: str) -> None:
    report, _ = report_on(ARCHIVES[kind]({"x": b"log\n" * 10 + A}))
    plain, _ = report_on(b"log\n" * 10 + A)
    assert [finding.evidence for finding in report.findings] == [finding.evidence for finding in plain.findings]
    assert report.dumps[0].line > 10


def test_contents_count_and_not_names(tmp_path: Path) -> None:
    (tmp_path / "dump.txt").write_bytes(gzip.compress(A))
    (tmp_path / "dump.gz").write_bytes(A)
    (tmp_path / "dump.zip").write_bytes(in_tar({"x": A}))
    report = threaddump.analyze(tmp_path)
    assert [(dump.source[-8:], dump.member) for dump in report.dumps] == [
        ("/dump.gz", None), ("dump.txt", None), ("dump.zip", "x"),
    ]  # fmt: skip
    assert [len(dump.threads) for dump in threaddump.read(tmp_path / "dump.zip")] == [THREADS["a"][1]]


@pytest.mark.parametrize("head", [b"BZh is no magic\n", b"PK\n", b"]\x00\x00\n", b"\x5d\x00\x00" + bytes(20), b"ustar"])
def test_what_only_looks_packed(head: bytes) -> None:
    assert kind_of(head + A) is None
    assert kind_of((head + A)[: archives.HEAD]) is None
    assert kind_of(bytes(512)) is None


@settings(max_examples=200)
@given(st.binary(max_size=600))
def test_text_is_not_taken_for_an_archive(head: bytes) -> None:
    text = bytes(byte % 96 + 32 for byte in head)
    assert kind_of(text[: archives.HEAD]) is None


def test_an_archive_from_standard_input_and_from_a_named_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (A, gzip.compress(A), in_zip({"x": A}), in_tar({"x": A})):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert [dump.total for dump in threaddump.analyze("-").dumps] == [THREADS["a"][1]]
        read, write = os.pipe()
        os.write(write, content[: 1 << 15])
        os.close(write)
        try:
            if os.path.exists(f"/dev/fd/{read}") and len(content) < 1 << 15:
                assert [dump.total for dump in threaddump.analyze(f"/dev/fd/{read}").dumps] == [THREADS["a"][1]]
        finally:
            os.close(read)


# --- what is no dump among what is one


FOREIGN: Files = {"empty.txt": b"", "photo.png": b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 50, "app.log": b"ok\n" * 9}


@pytest.mark.parametrize("pack", [in_zip, in_tar, in_piped_zip])
def test_members_that_are_no_dumps_are_counted_and_no_dump_is_lost(
    pack: Callable[[Files], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"a": A, **FOREIGN, "inner.zip": in_zip({**FOREIGN, "b": B}), "none.tar": in_tar(FOREIGN), "c": C}
    (tmp_path / "support").write_bytes(pack(files))
    monkeypatch.setattr(sys, "argv", ["threaddump", "analyze", str(tmp_path / "support"), "-f", "json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert [dump["member"] for dump in json.loads(out)["dumps"]] == ["a", "inner.zip/b", "c"]
    assert "no thread dump in 9 of 12 files" in err


@pytest.mark.parametrize("pack", [in_zip, in_tar])
def test_an_archive_without_a_dump_is_refused(pack: Callable[[Files], bytes]) -> None:
    report, [(member, error)] = report_on(pack(FOREIGN))
    assert (report.dumps, member) == ([], None)
    assert "no thread dump in any of its 3 members" in error.message
    assert "the input is empty" in error.message and error.hint
    _, [(_, error)] = report_on(pack({"empty.txt": b""}))
    assert "dump.txt:empty.txt: the input is empty" in error.message
    _, [(_, error)] = report_on(pack({".hidden": A}))
    assert "archive is empty" in error.message


def test_hidden_files_and_folders_of_an_archive_are_left_out() -> None:
    files = {"__MACOSX/dumps/._a.txt": b"\x00\x05\x16\x07", ".git": A, "./dumps/a.txt": A}
    assert [member for member, *_ in found(in_zip({"dumps/": b"", **files}))] == ["dumps/a.txt"]
    assert [member for member, *_ in found(in_tar(files))] == ["dumps/a.txt"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "C:\\x", "a\x1b[31mb", "x" * 300])
@pytest.mark.parametrize("pack", [in_zip, in_tar])
def test_names_do_no_harm(
    pack: Callable[[Files], bytes], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    report, errors = report_on(pack({name: A}))
    assert not errors
    assert report.dumps[0].member == name
    assert list(tmp_path.rglob("*")) == [tmp_path / "x"]


def test_links_and_devices_are_no_members() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"x{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("a")
        info.size = len(A)
        archive.addfile(info, io.BytesIO(A))
    assert [member for member, *_ in found(out.getvalue())] == ["a"]


def encrypted(content: bytes, name: bytes) -> bytes:
    """The archive with the mark of encryption at a member."""
    raw = bytearray(content)
    for signature, flags, names in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = raw.find(signature)
        while raw[at + names : at + names + len(name)] != name:
            at = raw.find(signature, at + 1)
        raw[at + flags] |= 1
    return bytes(raw)


def test_encrypted_and_unknown_members_are_named() -> None:
    content = encrypted(in_zip({"a": A, "secret": B}), b"secret")
    report, [(member, error)] = report_on(content)
    assert ([dump.member for dump in report.dumps], member) == (["a"], "secret")
    assert error.message == "dump.txt:secret: it is encrypted"
    assert "unzip -p" in error.hint
    raw = bytearray(in_zip({"a": A}))
    raw[8:10] = raw[raw.find(b"PK\x01\x02") + 10 :][:2] = struct.pack("<H", 9)
    at = raw.find(b"PK\x01\x02")
    raw[at + 10 : at + 12] = struct.pack("<H", 9)  # deflate64
    _, [(_, error)] = report_on(bytes(raw))
    assert "packed in a way that is not known here" in error.message
    assert "7z x" in error.hint


# --- damaged


def noisy(size: int) -> bytes:
    """A log that does not compress away."""
    numbers = random.Random(7)
    return b"".join(b"order %x placed\n" % numbers.getrandbits(256) for _ in range(size))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_a_compressed_file_that_is_cut_short(kind: str) -> None:
    packed = COMPRESSIONS[kind](A + noisy(30_000))
    report, errors = report_on(packed[: len(packed) * 9 // 10])
    assert not errors
    (dump,) = report.dumps
    assert dump.total == THREADS["a"][1]
    assert [problem.reason for problem in dump.problems][-1] == f"the {kind} data is cut short"
    assert report_on(packed)[0].dumps[0].problems == []


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_dump_that_is_cut_short_in_its_compressed_file(kind: str) -> None:
    packed = COMPRESSIONS[kind](noisy(20_000) + goldens.content("black-friday/frontend.jstack.txt"))
    (dump,) = report_on(packed[:-2000])[0].dumps
    assert dump.truncated
    assert 0 < dump.total < 324
    assert "truncated-input" in {finding.id for finding in dump.findings}


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "lzma", "zstd"])
@pytest.mark.parametrize("left", [0, 1, 15, 30, 600])
def test_nothing_but_the_beginning(kind: str, left: int) -> None:
    report, errors = report_on(COMPRESSIONS[kind](noisy(2000) + A)[:left])
    assert (report.dumps, len(errors)) == ([], 1)
    assert errors[0][1].hint


def test_damaged_data_is_said() -> None:
    packed = bytearray(gzip.compress(A + noisy(5000)))
    packed[-6] ^= 0xFF  # the sum
    (dump,) = report_on(bytes(packed))[0].dumps
    assert "the gzip data is damaged: CRC check failed" in dump.problems[-1].reason
    content = bytearray(in_zip({"a": A, "b": B}))
    content[content.find(b"PK\x03\x04", 4) + 14] ^= 0xFF
    content[content.rfind(b"PK\x01\x02") + 16] ^= 0xFF
    first, second = report_on(bytes(content))[0].dumps
    assert first.problems == []
    assert second.total == THREADS["b"][1]
    assert "the sum of its data is wrong" in second.problems[-1].reason


@pytest.mark.parametrize("pack", [in_zip, in_piped_zip])
def test_a_zip_archive_without_its_directory(pack: Callable[[Files], bytes]) -> None:
    content = pack({"a": A, "b": B, "c": noisy(3000) + C})
    report, [(member, error)] = report_on(content[: content.find(b"PK\x01\x02") - 100])
    assert [(dump.member, dump.total) for dump in report.dumps[:2]] == [("a", THREADS["a"][1]), ("b", THREADS["b"][1])]
    assert member is None
    assert "cut short or damaged" in error.message
    assert "zip -FF" in error.hint
    assert [problem.reason for problem in report.problems] == [str(error)]


@pytest.mark.parametrize("pack", [in_tar, lambda files: gzip.compress(in_tar(files))])
def test_a_tar_archive_that_is_cut_short(pack: Callable[[Files], bytes]) -> None:
    content = pack({"a": A, "b": noisy(30_000) + B, "c": C})
    report, errors = report_on(content[: len(content) // 2])
    assert [(dump.member, dump.total) for dump in report.dumps] == [("a", THREADS["a"][1])]
    assert [member for member, _ in errors] == ["b", None]
    assert all("cut short" in error.message and error.hint for _, error in errors)
    assert report.problems


@settings(max_examples=60)
@given(st.sampled_from(sorted(ARCHIVES)), st.integers(0, 1 << 30), st.binary(min_size=0, max_size=4), st.booleans())
def test_no_damage_is_too_odd(kind: str, at: int, bytes_: bytes, cut: bool) -> None:
    content = ARCHIVES[kind]({"a": A, "b": B})
    at %= len(content)
    changed = content[:at] + bytes_ + (b"" if cut else content[at + len(bytes_) :])
    report, errors = report_on(changed)
    assert report.dumps or errors


@pytest.mark.parametrize("strict", [False, True])
def test_exit_codes_for_a_damaged_archive(
    strict: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def code(content: bytes) -> object:
        (tmp_path / "x").write_bytes(content)
        monkeypatch.setattr(sys, "argv", ["threaddump", "analyze", str(tmp_path / "x"), *["--strict"] * strict])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    content = in_zip({"a": A, "b": B})
    assert code(content) == 0
    assert code(content[: content.find(b"PK\x01\x02")]) == (3 if strict else 0)
    assert code(gzip.compress(A)[:-1]) == (3 if strict else 0)
    assert code(content[:60]) == 2
    assert "x: " in capsys.readouterr().err


# --- bombs


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE", 1 << 20)


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_bomb_is_not_unpacked(kind: str, small: None) -> None:
    bomb = COMPRESSIONS[kind](bytes(40 << 20))
    tracemalloc.start()
    try:
        for content in (bomb, in_zip({"bomb": bomb}, zipfile.ZIP_STORED), in_tar({"bomb": bomb})):
            report, [(_, error)] = report_on(content)
            assert report.dumps == []
            assert "not a text" in error.message or "1000 times" in error.message
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20


def test_a_text_that_blows_up_behind_a_dump(small: None) -> None:
    packed = lzma.compress(A + (b"0" * 999 + b"\n") * (20 << 10))
    report, _ = report_on(packed)
    (dump,) = report.dumps
    assert dump.total == THREADS["a"][1]
    assert "unpacks to more than 1000 times its size" in dump.problems[-1].reason


def test_zip_archives_of_zip_archives_end(small: None) -> None:
    content = in_zip({str(n): bytes(1 << 20) for n in range(16)})
    for _ in range(6):
        content = in_zip({str(n): content for n in range(16)})
    report, [(_, error)] = report_on(content)
    assert report.dumps == []
    assert "1000 times" in error.message or "packed more than 4 times" in error.message


def test_a_total_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "TOTAL", 1 << 20)
    report, errors = report_on(in_zip({"a": A, "big": noisy(50_000), "c": C}))
    assert [dump.member for dump in report.dumps] == ["a"]
    assert [member for member, _ in errors] == ["big", None]
    assert all("not read further" in error.message for _, error in errors)


@pytest.mark.parametrize("pack", [in_zip, in_tar])
def test_members_are_bounded(pack: Callable[[Files], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MEMBERS", 10)
    report, errors = report_on(pack({"a": A, **{str(n): b"x" for n in range(20)}}))
    assert [dump.member for dump in report.dumps] == ["a"]
    assert "more than 10 members" in errors[-1][1].message


def test_a_big_directory_of_a_zip_archive_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "DIRECTORY", 1000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("read"))
    _, [(_, error)] = report_on(in_zip_of_many)
    assert "more than 10000 members" in error.message


in_zip_of_many = in_zip({str(n): b"" for n in range(40)})


def test_a_long_header_of_a_tar_archive_is_not_read(small: None) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    _, [(_, error)] = report_on(gzip.compress(info.tobuf() + noisy(100_000)))
    assert "a header is too long" in error.message


def test_a_zip_archive_in_a_pipe_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SPOOL", 1000)
    _, [(_, error)] = report_on(in_zip({"a": noisy(1000)}))
    assert "has to be a file" in error.message


def test_a_big_compressed_file_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "big.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write((b"order 7 placed" * 100 + b"\n") * 200)
        file.write(A)
    tracemalloc.start()
    try:
        (dump,) = threaddump.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert dump.line > 20_000
    assert peak < 5_000_000


def test_a_compressed_file_is_not_cut_into_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "PART", 1000)
    monkeypatch.setattr(fanout, "cpus", lambda: 3)
    path = tmp_path / "x"
    for content in (gzip.compress(noisy(5000) + A), in_zip({"x": noisy(5000) + A}, zipfile.ZIP_STORED)):
        path.write_bytes(content)
        for text in unpacked(Source("x", path)):
            assert fanout.split(text) == [text]
        assert [dump.total for dump in threaddump.analyze(path).dumps] == [THREADS["a"][1]]


def test_the_thread_of_a_member_is_explained() -> None:
    from threaddump.explain import find_thread

    source = goldens.source(in_zip({"empty": b"", "a": A, "b": B}))
    _, _, where = find_thread([source], "transfer-A-to-B", None, pytest.fail)
    assert where == "dump.txt:a"
