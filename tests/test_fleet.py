"""Many inputs, many processes: the summary of one process, whoever reads what, and whatever happens to a reader."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from live_programs import eventually, tool_missing
from threaddump import fanout, fleet, parts
from threaddump.fanout import CHUNK_INPUTS, LostError, chunks, spread
from threaddump.fleet import StoppedError, summarize
from threaddump.sources import STDIN, Source, expand
from threaddump.summary import Summary

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"
STORY = FIXTURES / "black-friday"
ORDERS = STORY / "orders.jcmd.txt"
DUMPS = (
    "frontend.jcmd.txt",
    "orders.jcmd.txt",
    "orders.kill3.txt",
    "orders-small-java25.jcmd.txt",
    "scheduling.jcmd.txt",
    "scheduling.jstack.txt",
    "python-orders-small.py-spy.txt",
    "python-orders.faulthandler.txt",
)
SMALL = (FIXTURES / "hotspot" / "deadlock-two.txt").read_bytes()
THREADDUMP = Path(sys.executable).with_name("threaddump")

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds the reader of a pipe in /proc")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers begin as copies of this process, also after a test that left a thread of fsspec's or dask's behind."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def written(summary: Summary) -> str:
    out = io.StringIO()
    parts.write(summary, out)
    return out.getvalue()


def small(number: int) -> bytes:
    """A small dump that is like no other."""
    return SMALL.replace(b"tid=0x0000", b"tid=0x%04x" % number)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The dumps of the story, one again, and what is none."""
    made = tmp_path / "fleet"
    made.mkdir()
    for name in DUMPS:
        (made / name).write_bytes((STORY / name).read_bytes())
    (made / "again.txt").write_bytes((STORY / "orders.jcmd.txt").read_bytes())
    (made / "empty.txt").write_bytes(b"")
    (made / "foreign.txt").write_bytes(b"not a dump\n" * 30)
    (made / "binary.bin").write_bytes(bytes(range(256)) * 30)
    return made


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_give_the_summary_of_one(folder: Path, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = summarize(expand([str(folder)]))
    assert (alone.failed, len(alone.failures)) == (3, 3)
    monkeypatch.setattr(fanout, "CHUNK", 1 << 20)
    monkeypatch.setattr(fanout, "CHUNK_INPUTS", 3)
    told: list[int] = []
    with fanout.local(processes) as engine:
        together = summarize(expand([str(folder)]), engine, advance=told.append)
    assert written(together) == written(alone)
    assert sum(told) == together.inputs == len(list(folder.iterdir()))


def test_a_big_file_goes_to_several_processes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = folder / "big.log"
    big.write_bytes(b"".join(small(number).rstrip(b"\n") + b"\n" for number in range(40)))
    sources = expand([str(folder)])
    whole = summarize(sources)
    monkeypatch.setattr(fanout, "PART", 40_000)
    monkeypatch.setattr(fanout, "cpus", lambda: 3)
    assert len([chunk for chunk in chunks(sources) if chunk[0].part is not None and chunk[0].path == big]) == 3
    with fanout.local(2) as engine:
        assert written(summarize(sources, engine)) == written(whole)


def test_chunks_keep_the_order_and_bound_what_travels_together(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}" for number in range(3 * CHUNK_INPUTS)]
    for path in paths:
        path.write_bytes(b"x" * (3 << 20) if path == paths[0] else b"x")
    found = list(chunks(Source(str(path), path) for path in [*paths, tmp_path / "missing"]))
    assert [source.path for chunk in found for source in chunk] == [*paths, tmp_path / "missing"]
    assert all(len(chunk) <= CHUNK_INPUTS for chunk in found)
    assert len(found) == 4


def test_standard_input_is_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SMALL)))
    with fanout.local(2) as engine:
        summary = summarize([Source(STDIN, None), Source(str(ORDERS), ORDERS)], engine)
    assert {seen.source for seen in summary.seen.values()} == {STDIN, str(ORDERS)}


def test_thousands_of_files_lose_no_good_one(tmp_path: Path) -> None:
    """Broken, empty and foreign files, a dump within a log, a folder of the same names, names that need care."""
    good = 0
    for number in range(2500):
        path = tmp_path / f"{number % 7}" / f"{number} \x1b[31m.txt"
        path.parent.mkdir(exist_ok=True)
        match number % 5:
            case 0:
                path.write_bytes(small(number))
                good += 1
            case 1:
                path.write_bytes(b"")
            case 2:
                path.write_bytes(small(number)[:900])  # cut short: it still gives its first thread
                good += 1
            case 3:
                path.write_bytes(os.urandom(64) + bytes(200))
            case _:
                path.write_bytes(b"2026-11-22 20:31:57 INFO nothing of interest\n" * 3)
    (tmp_path / "forbidden.txt").symlink_to(tmp_path / "nowhere")
    with fanout.local(2) as engine:
        summary = summarize(expand([str(tmp_path)]), engine)
    assert len(summary.seen) == summary.times.total() == good == 1000
    assert (summary.failed, summary.inputs, sum(summary.reasons.values())) == (1500, 2500, 1500)


def test_a_defect_of_ours_costs_one_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = summarize(expand([str(folder)]))
    real = fleet.facts_of

    def broken(dump, *rest):  # type: ignore[no-untyped-def]
        if dump.format == "faulthandler":
            raise RecursionError("too deep")
        return real(dump, *rest)

    monkeypatch.setattr(fleet, "facts_of", broken)
    summary = summarize(expand([str(folder)]))
    lost = sum(seen.format == "faulthandler" for seen in before.seen.values())
    assert len(summary.seen) == len(before.seen) - lost
    assert lost == 1
    (failure,) = [each for each in summary.failures if "defect" in each.reason]
    assert failure.reason == "a defect of threaddump: RecursionError: too deep"


# --- processes that end


def names_of(chunk: list[Source]) -> list[str]:
    """What a worker does here: some inputs end it, one of them only the first time."""
    for source in chunk:
        if source.name == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        if source.path is not None and source.name == "once" and not source.path.exists():
            source.path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [source.name for source in chunk]


def test_inputs_of_a_lost_process_are_done_again_and_the_culprit_is_named(tmp_path: Path) -> None:
    todo = [[Source(f"{row}-{column}", None) for column in range(4)] for row in range(20)]
    todo[3].insert(2, Source("poison", None))
    todo[11].insert(1, Source("once", tmp_path / "mark"))
    with fanout.local(2) as engine:
        results = list(spread(names_of, todo, engine))
    lost = [source.name for chunk, result in results if isinstance(result, LostError) for source in chunk]
    done = [name for _, result in results if not isinstance(result, LostError) for name in result]
    assert lost == ["poison"]
    assert sorted([*done, "poison"]) == sorted(source.name for chunk in todo for source in chunk)


@pytest.mark.usefixtures("forked")
def test_what_ends_its_process_is_a_failed_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = summarize(expand([str(folder)]))
    (folder / "poison.txt").write_bytes(SMALL)
    real = fleet.from_each

    def ending(source, *rest):  # type: ignore[no-untyped-def]
        if source.name.endswith("poison.txt"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(source, *rest)

    monkeypatch.setattr(fleet, "from_each", ending)
    with fanout.local(2) as engine:
        summary = summarize(expand([str(folder)]), engine)
    assert summary.seen == before.seen
    (failure,) = [each for each in summary.failures if each.source.endswith("poison.txt")]
    assert failure.reason == "the process that read it was ended from outside"
    assert summary.inputs == before.inputs + 1


@pytest.mark.usefixtures("forked")
def test_an_interrupt_gives_what_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "CHUNK_INPUTS", 2)
    sources = expand([str(folder)])
    others = set(psutil.Process().children())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if done >= 6:
            signal.raise_signal(signal.SIGINT)

    for engine in (None, fanout.local(2)):
        done = 0
        with ExitStack() as opened, pytest.raises(StoppedError) as stopped:
            summarize(sources, opened.enter_context(engine) if engine else None, advance=advance)
        summary = stopped.value.summary
        assert stopped.value.reason is None
        assert summary.inputs == done >= 6
        assert summary.left == len(sources) - done > 0
        assert not json.loads(written(summary))["complete"]
    assert not set(psutil.Process().children()) - others


# --- the command


def run(*arguments: object) -> tuple[int, str, str]:
    command = [THREADDUMP, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def test_parts_merge_to_the_single_run(folder: Path, tmp_path: Path) -> None:
    files = sorted(map(str, folder.iterdir()))
    code, _, errors = run("summarize", *files, "--output", tmp_path / "whole.json")
    assert code == 0
    assert errors.count("threaddump: ") == 3
    for number in range(3):
        assert run("summarize", *files[number::3], "-o", tmp_path / f"part-{number}.json")[0] == 0
    found = [tmp_path / f"part-{number}.json" for number in (2, 0, 1)]
    assert run("merge", *found, "-o", tmp_path / "merged.json")[0] == 0
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert run("merge", *found, "--format", "json")[1].encode() == (tmp_path / "whole.json").read_bytes()
    code, report, errors = run("merge", *found)
    assert (code, errors) == (0, "")
    assert "1 of 8 instances waiting for a slot of a pool: CheckoutHandler.placeOrder" in " ".join(report.split())


def test_a_pipe_gets_the_report_and_nothing_else(folder: Path) -> None:
    code, report, errors = run("summarize", folder, "--processes", 2)
    assert (code, errors) == (0, "")
    assert "3 inputs could not be used" in report
    assert report.count("CRITICAL") > 2


def test_a_terminal_gets_a_progress_bar(folder: Path) -> None:
    leader, follower = pty.openpty()
    command = [THREADDUMP, "summarize", folder, "--format", "json"]
    env = {**os.environ, "TERM": "xterm"}
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=follower, env=env, check=False)
    os.close(follower)
    shown = os.read(leader, 1 << 16).decode()
    os.close(leader)
    assert ended.returncode == 0
    assert "dumps" in shown
    assert "100%" in shown


def test_nothing_usable_is_said_and_the_part_is_written_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    code, _, errors = run("summarize", tmp_path / "empty.txt", "-o", tmp_path / "part.json")
    assert code == 2
    assert "the input is empty" in errors
    assert json.loads((tmp_path / "part.json").read_bytes())["failed"] == 1
    assert run("merge", tmp_path / "part.json")[0] == 2
    code, _, errors = run("merge", tmp_path / "empty.txt")
    assert code == 2
    assert "threaddump summarize FILES --output part.json" in errors


def reader_of(path: Path, root: int) -> int | None:
    """The process below ``root`` that has the pipe open."""
    for process in psutil.Process(root).children(recursive=True):
        try:
            links = [os.readlink(entry) for entry in os.scandir(f"/proc/{process.pid}/fd")]
        except OSError:
            continue
        if str(path) in links:
            return process.pid
    return None


def opened_for_writing(path: Path) -> int | None:
    """The writing end, once somebody reads."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


@contextmanager
def started(command: list[object], **options: object) -> Iterator[subprocess.Popen[str]]:
    words = [str(word) for word in command]
    with subprocess.Popen(words, text=True, stdin=subprocess.DEVNULL, **options) as running:  # type: ignore[call-overload]
        try:
            yield running
        finally:
            if running.poll() is None:
                for each in [*psutil.Process(running.pid).children(recursive=True), psutil.Process(running.pid)]:
                    each.kill()


def kill_the_reader_then_feed(path: Path, root: int, content: bytes) -> None:
    """Ends the process that reads the pipe, in the middle; the one that reads it next gets the content."""
    writer = eventually(lambda: opened_for_writing(path), "a reader")
    first = eventually(lambda: reader_of(path, root), "the reader's pid")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: reader_of(path, root) not in {None, first}, "another reader")
    os.set_blocking(writer, True)
    with os.fdopen(writer, "wb") as stream:
        stream.write(content)


@linux
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "orders.pipe").write_bytes(small(7))
    serial = run("summarize", *sorted(folder.iterdir()), "-p", 1, "-f", "json")[1]
    (folder / "orders.pipe").unlink()
    os.mkfifo(folder / "orders.pipe")
    command = [THREADDUMP, "summarize", *sorted(folder.iterdir()), "-p", 2, "-o", tmp_path / "out.json"]
    with started(command) as running:
        kill_the_reader_then_feed(folder / "orders.pipe", running.pid, small(7))
        assert running.wait(60) == 0
    assert (tmp_path / "out.json").read_text() == serial


@linux
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_writes_what_is_done(folder: Path, tmp_path: Path, processes: int) -> None:
    os.mkfifo(tmp_path / "never.pipe")
    files = [*sorted(folder.iterdir()), tmp_path / "never.pipe"]
    command = [THREADDUMP, "summarize", *files, "-p", processes, "-o", tmp_path / "out.json"]
    with started(command, stderr=subprocess.PIPE, start_new_session=True) as running:
        writer = eventually(lambda: opened_for_writing(tmp_path / "never.pipe"), "a reader")
        os.killpg(running.pid, signal.SIGINT)
        errors = running.communicate(timeout=60)[1]
        os.close(writer)
    assert running.returncode == 130
    assert "Traceback" not in errors
    said = json.loads((tmp_path / "out.json").read_bytes())
    assert not said["complete"]
    assert said["inputs"]["read"] + said["inputs"]["left"] == len(files)
    assert said["inputs"]["left"] >= 1
    if processes == 1:
        assert (said["dumps"], said["inputs"]["left"]) == (len(DUMPS), 1)


# --- a cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of a scheduler with three workers on this machine, and the pid above the workers."""
    if importlib.util.find_spec("distributed") is None:
        tool_missing("distributed is not installed")
    where = tmp_path_factory.mktemp("cluster")
    file = where / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": where}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nworkers", "3", "--nthreads", "1"]
    ending = ["--no-dashboard", "--scheduler-file", file]
    with started([*scheduler, *ending], **quiet):
        eventually(lambda: file.exists() and file.read_bytes().rstrip().endswith(b"}"), "a scheduler")
        address = json.loads(file.read_bytes())["address"].removeprefix("tcp://")
        with started([*worker, "--local-directory", where, "--host", "127.0.0.1", *ending], **quiet) as workers:
            yield f"dask://{address}", workers.pid


def test_a_cluster_gives_the_summary_of_one_process(folder: Path, cluster: tuple[str, int]) -> None:
    serial = run("summarize", folder, "-p", 1, "-f", "json")[1]
    code, out, errors = run("summarize", folder, "--engine", cluster[0], "-f", "json")
    assert (code, out) == (0, serial)
    assert "Traceback" not in errors


@linux
def test_a_worker_of_a_cluster_that_is_killed_changes_nothing(
    folder: Path, tmp_path: Path, cluster: tuple[str, int]
) -> None:
    (folder / "orders.pipe").write_bytes(small(7))
    serial = run("summarize", *sorted(folder.iterdir()), "-p", 1, "-f", "json")[1]
    (folder / "orders.pipe").unlink()
    os.mkfifo(folder / "orders.pipe")
    address, above = cluster
    command = [THREADDUMP, "summarize", *sorted(folder.iterdir()), "--engine", address, "-o", tmp_path / "out.json"]
    with started(command) as running:
        kill_the_reader_then_feed(folder / "orders.pipe", above, small(7))
        assert running.wait(120) == 0
    assert (tmp_path / "out.json").read_text() == serial


@pytest.mark.parametrize(
    ("engine", "message", "hint"),
    [
        ("spark://127.0.0.1:1", "this names no engine", "dask://HOST:PORT"),
        ("dask://127.0.0.1", "this names no engine", "dask://HOST:PORT"),
    ],
)
def test_an_engine_that_is_none_is_named(engine: str, message: str, hint: str) -> None:
    code, out, errors = run("summarize", ORDERS, "--engine", engine)
    assert (code, out) == (2, "")
    assert message in errors
    assert hint in errors


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("distributed") is None:
        tool_missing("distributed is not installed")
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # and nobody listens
        port = listener.getsockname()[1]
        script = (
            "import sys; from threaddump import cli, fanout; fanout._PATIENCE = 1; "
            f"sys.argv = ['threaddump', 'summarize', {str(ORDERS)!r}, '--engine', 'dask://127.0.0.1:{port}']; "
            "cli.main()"
        )
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no scheduler with workers answers there" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_the_extra_the_next_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(fanout.InputError) as error, fanout.dask("dask://127.0.0.1:8786"):
        pass
    assert error.value.hint == "pip install 'threaddump[cluster]'"
