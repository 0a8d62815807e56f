"""Inputs by URL: fsspec's memory, and a web server of this machine."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from threaddump import remote
from threaddump.analysis import analyze
from threaddump.fleet import summarize
from threaddump.report import Report
from threaddump.sources import InputError, Source, expand

FIXTURES = Path(__file__).parent.parent / "fixtures"
DUMP = (FIXTURES / "hotspot" / "deadlock-two.txt").read_bytes()
OTHER = (FIXTURES / "black-friday" / "scheduling.jcmd.txt").read_bytes()


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    for name, content in {
        "/dumps/b.txt": OTHER,
        "/dumps/a.txt": DUMP,
        "/dumps/sub/c.txt.gz": gzip.compress(DUMP),
        "/dumps/.hidden": DUMP,
        "/dumps/empty.txt": b"",
    }.items():
        system.pipe(name, content)
    yield system
    system.store.clear()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a server of a folder; it also hides one file, and cuts another short."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/forbidden"):
                self.send_error(403)
            elif self.path.startswith("/query"):
                self.path = "/a.txt"
                super().do_GET()
            elif self.path.startswith("/cut"):
                self.send_response(200)
                self.send_header("Content-Length", str(len(DUMP)))
                self.end_headers()
                self.wfile.write(DUMP[:900])
            else:
                super().do_GET()

    (tmp_path / "a.txt").write_bytes(DUMP)
    (tmp_path / "b.txt").write_bytes(OTHER)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def analyzed(*urls: str) -> tuple[Report, list[str]]:
    errors: list[str] = []
    report = analyze(expand(urls), lambda _, error: errors.append(f"{error} | {error.hint}"))
    return report, errors


def names(sources: list[Source]) -> list[str]:
    return [source.name for source in sources]


# --- memory


def test_a_url_is_a_file(memory: Any) -> None:
    report, errors = analyzed("memory://dumps/a.txt")
    assert not errors
    assert [(dump.source, dump.line) for dump in report.dumps] == [("memory://dumps/a.txt", 1)]
    assert "deadlock" in {finding.id for finding in report.findings}


def test_a_folder_is_its_files_but_the_hidden_ones(memory: Any) -> None:
    for url in ("memory://dumps/", "memory://dumps"):
        sources = expand([url])
        assert names(sources) == [f"memory:///dumps/{name}" for name in ("a.txt", "b.txt", "empty.txt", "sub/c.txt.gz")]
        assert not any(source.named for source in sources)


def test_a_pattern_is_what_it_matches(memory: Any) -> None:
    sources = expand(["memory://dumps/*.txt"])
    assert names(sources) == [f"memory:///dumps/{name}" for name in ("a.txt", "b.txt", "empty.txt")]
    assert all(source.named for source in sources)
    assert names(expand(["memory://dumps/[ab].txt"])) == ["memory:///dumps/a.txt", "memory:///dumps/b.txt"]


def test_a_pattern_without_a_match_is_an_input_that_fails(memory: Any) -> None:
    report, errors = analyzed("memory://dumps/*.log", "memory://dumps/a.txt")
    assert len(report.dumps) == 1
    (error,) = errors
    assert error.startswith("memory://dumps/*.log: there is no such file | check the address")


def test_what_is_packed_is_unpacked(memory: Any) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one.txt", DUMP)
        archive.writestr("two.txt", OTHER)
    memory.pipe("/dumps/both.zip", packed.getvalue())
    report, errors = analyzed("memory://dumps/both.zip", "memory://dumps/sub/c.txt.gz")
    assert not errors
    assert [dump.member for dump in report.dumps] == ["one.txt", "two.txt", None]
    assert report.dumps[2].duplicate_of == "d1"


def test_a_fleet_by_url_is_that_of_the_files(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(DUMP)
    (tmp_path / "b.txt").write_bytes(OTHER)
    by_url, by_file = summarize(expand(["memory://dumps/"])), summarize(expand([str(tmp_path)]))
    assert by_url.seen.keys() == by_file.seen.keys()
    assert [failure.reason for failure in by_url.failures] == ["the input is empty"]


# --- the web


def test_a_file_of_a_web_server(web: str) -> None:
    report, errors = analyzed(f"{web}/a.txt", f"{web}/query?dump=[1]")
    assert not errors
    assert [dump.source for dump in report.dumps] == [f"{web}/a.txt", f"{web}/query?dump=[1]"]
    assert report.dumps[1].duplicate_of == "d1"


def test_a_listing_of_a_web_server(web: str) -> None:
    assert names(expand([f"{web}/"])) == [f"{web}/a.txt", f"{web}/b.txt"]
    assert names(expand([f"{web}/b*.txt"])) == [f"{web}/b.txt"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.txt", "there is no such file | check the address"),
        ("forbidden.txt", "cannot be read: 403"),
        ("cut.txt", "reading failed: "),
    ],
)
def test_what_a_web_server_refuses_is_said_and_the_rest_is_read(web: str, path: str, message: str) -> None:
    report, errors = analyzed(f"{web}/{path}", f"{web}/a.txt")
    assert [dump.source for dump in report.dumps] == [f"{web}/a.txt"]
    (error,) = errors
    assert message in error
    assert error.startswith(f"{web}/{path}: ")


def test_a_server_that_is_not_there() -> None:
    report, errors = analyzed("http://127.0.0.1:1/a.txt")
    assert not report.dumps
    assert "cannot be read: " in errors[0]


# --- without what it needs


def test_without_fsspec_the_next_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    (source,) = expand(["https://host/a.txt"])
    with pytest.raises(InputError) as error, source.open():
        pass
    assert str(error.value) == "https://host/a.txt: reading from a URL needs fsspec"
    assert "pip install 'threaddump[remote]'" in error.value.hint


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_store_whose_package_is_missing(scheme: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    _, errors = analyzed(f"{scheme}://bucket/dumps/*.txt")
    (error,) = errors
    assert f"reading from {scheme}:// needs another package" in error
    assert error.endswith(f"| pip install {package}")


def test_a_scheme_that_nobody_knows() -> None:
    _, errors = analyzed("gopher://host/a.txt")
    assert errors[0].startswith("gopher://host/a.txt: cannot be read: Protocol not known: gopher")


def test_a_local_name_is_no_url(tmp_path: Path) -> None:
    assert not isinstance(expand([str(tmp_path / "c:" / "a.txt")])[0], remote.Remote)


def test_nothing_is_imported_for_files(tmp_path: Path) -> None:
    import subprocess

    script = "import sys; from threaddump.sources import expand; expand(['a.txt', '.']); print('fsspec' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ended.stdout.strip() == "False"
