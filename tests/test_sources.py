"""What the command line names: files, folders, globs and standard input."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from threaddump.sources import STDIN, InputError, Source, expand


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "sub/c.log", ".hidden", "sub/.git", "sub/deep/d.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "empty").mkdir()
    return tmp_path


def read(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


def test_a_file_is_itself_even_if_it_does_not_exist(folder: Path) -> None:
    (here, missing) = expand([str(folder / "a.txt"), str(folder / "none.txt")])
    assert (here.path, here.named, read(here)) == (folder / "a.txt", True, b"a.txt")
    assert missing.name == str(folder / "none.txt")


def test_a_folder_is_its_files_at_every_depth_in_a_stable_order(folder: Path) -> None:
    sources = expand([str(folder)])
    assert [source.name for source in sources] == [
        str(folder / name) for name in ("a.txt", "b.txt", "sub/c.log", "sub/deep/d.txt")
    ]
    assert not any(source.named for source in sources)


def test_a_folder_without_files_is_an_input_that_fails(folder: Path) -> None:
    (source,) = expand([str(folder / "empty")])
    assert source.named
    with pytest.raises(InputError, match="the folder has no files") as error:
        read(source)
    assert error.value.hint == "name a folder with dump files"


def test_a_glob_that_the_shell_left_alone(folder: Path) -> None:
    assert [source.path for source in expand([str(folder / "*.txt")])] == [folder / "a.txt", folder / "b.txt"]
    deep = expand([str(folder / "**" / "*.txt")])
    assert [source.path for source in deep] == [folder / "a.txt", folder / "b.txt", folder / "sub/deep/d.txt"]
    assert all(source.named for source in deep)


def test_a_glob_without_a_match_keeps_its_name(folder: Path) -> None:
    (source,) = expand([str(folder / "*.json")])
    assert source.name.endswith("*.json")
    with pytest.raises(InputError, match=r"\*\.json: No such file"):
        read(source)


def test_a_file_whose_name_looks_like_a_glob(folder: Path) -> None:
    odd = folder / "dump[1].txt"
    odd.write_text("odd")
    (folder / "dump1.txt").write_text("what the glob would match")
    assert [source.path for source in expand([str(odd)])] == [odd]


def test_inputs_keep_their_order_and_may_repeat(folder: Path) -> None:
    sources = expand([str(folder / "b.txt"), "-", str(folder / "a.txt"), str(folder / "b.txt")])
    assert [source.path and source.path.name for source in sources] == ["b.txt", None, "a.txt", "b.txt"]


def test_standard_input_where_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    (source,) = expand([])
    assert (source.name, source.path) == (STDIN, None)
    assert read(source) == b"piped"


@pytest.mark.parametrize("stdin", ["terminal", "closed"])
def test_nothing_is_named_and_nothing_is_piped(stdin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal() if stdin == "terminal" else None)
    with pytest.raises(InputError, match="name a dump file or pipe one in") as error:
        expand([])
    assert "threaddump analyze dump.txt" in error.value.hint


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="<stdin>: standard input is closed"):
        read(Source(STDIN, None))


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory", "check the path"),
        (PermissionError(13, "Permission denied"), "Permission denied", "sudo cat FILE | threaddump analyze"),
        (OSError(40, "Too many levels of symbolic links"), "Too many levels", "check that it is a readable file"),
        (OSError("odd"), "odd", "check that it is a readable file"),
    ],
)
def test_what_cannot_be_opened(error: OSError, said: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, *arguments: object, **_keywords: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(InputError, match=f"^x.txt: {said}") as raised:
        read(Source("x.txt", Path("x.txt")))
    assert hint in raised.value.hint


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read(folder: Path) -> None:
    (folder / "a.txt").chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read(Source("a.txt", folder / "a.txt"))


def test_a_loop_of_links_does_not_hang(folder: Path) -> None:
    (folder / "sub" / "loop").symlink_to(folder, target_is_directory=True)
    assert len(expand([str(folder)])) < 100
