"""The command line: exit codes, messages, inputs and outputs, and what the first screen says about the incident."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

import threaddump
from threaddump import cli
from threaddump.cli.options import Format
from threaddump.report import SEVERITIES

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
STORY = FIXTURES / "black-friday"
HEALTHY = FIXTURES / "healthy" / "search.jstack.txt"


def recorded(folder: Path) -> list[Path]:
    """The dumps of a folder of fixtures, without the goldens beside them."""
    return sorted(path for path in folder.iterdir() if not path.name.endswith(".golden.json"))


ORDERS = STORY / "orders.jstack.txt"
VALIDATOR = jsonschema.Draft202012Validator(
    json.loads(resources.files("threaddump.reports").joinpath("report.schema.json").read_text("utf-8"))
)
SMALL = """2026-11-22 20:31:57
Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6-LTS mixed mode, sharing):

"worker-1" #12 prio=5 os_prio=0 cpu=1.00ms elapsed=10.00s tid=0x00007f0000000001 nid=0x1 waiting on condition  [0x1]
   java.lang.Thread.State: TIMED_WAITING (sleeping)
\tat java.lang.Thread.sleep(java.base@17.0.15/Native Method)
\tat com.shop.Poller.run(Poller.java:12)

JNI global refs: 16, weak refs: 0

"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)
    yield
    gc.enable()  # the command switches it off for its short life


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the console script's function in this process, with this text piped in."""

    def call(*arguments: object, stdin: str | bytes | io.StringIO = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["threaddump", *map(str, arguments)])
        if isinstance(stdin, str):
            stdin = stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)) if isinstance(stdin, bytes) else stdin)
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        assert "Traceback" not in err
        return Result(code, out, err)

    return call


def real(*arguments: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own."""
    run = [sys.executable, "-m", "threaddump", *map(str, arguments)]
    return subprocess.run(run, input=stdin, capture_output=True, env=os.environ | environment, timeout=60, check=False)


def first_screen(result: Result) -> str:
    """The first 40 lines, each run of white space as one blank: phrases are found across line breaks."""
    assert result.code == 0, result.err
    lines = result.out.splitlines()[:40]
    assert all(len(line) <= 80 for line in lines)
    return " ".join(" ".join(lines).split())


def check_refused(result: Result, said: str) -> None:
    """Nothing usable: exit code 2, nothing on standard output, one message with what to do."""
    assert result.code == 2
    assert result.out == ""
    message, *advice = result.err.splitlines()
    assert message.startswith("threaddump: ")
    assert said in message
    assert len(advice) == 1, result.err
    assert re.match(r"  try: \S", advice[0])


# --- the incident, on the first screen


@pytest.mark.parametrize("way", ["jstack", "jcmd", "kill3"])
def test_orders(run: Run, way: str) -> None:
    screen = first_screen(run("analyze", STORY / f"orders.{way}.txt"))
    assert "450 of 500 request threads are in one external call: SchedulingGateway.requestSlot" in screen
    assert "JDK HttpURLConnection, waiting for the response; no read timeout." in screen
    assert "50 more threads wait behind it, for a slot of its pool (inferred), without a timeout" in screen
    assert "not a CPU problem" in screen


@pytest.mark.parametrize("way", ["jstack", "jcmd", "kill3"])
def test_front_end(run: Run, way: str) -> None:
    screen = first_screen(run("analyze", STORY / f"frontend.{way}.txt"))
    assert "245 of 300 request threads wait for a slot of BackendPool, without a timeout" in screen
    assert "They wait in BackendPool.checkOut, called by CheckoutHandler.placeOrder" in screen
    assert re.search(r"probably held by 50 threads .*in BackendConnection.placeOrder \(inferred: ", screen)
    assert "inferred" in screen


@pytest.mark.parametrize("way", ["jstack", "jcmd", "kill3"])
def test_scheduling(run: Run, way: str) -> None:
    result = run("analyze", STORY / f"scheduling.{way}.txt")
    screen = first_screen(result)
    owner = re.search(
        r'24 of 25 request threads wait behind one owner: "(sched-worker-\d+)" holds LegacyCalendar', screen
    )
    assert owner is not None
    assert f'"{owner[1]}" is asleep in HolidayFeed.pause' in screen
    assert f'owner "{owner[1]}" line ' in " ".join(result.out.split())


@pytest.mark.parametrize("way", ["jcmd", "kill3"])
def test_orders_on_a_new_runtime(run: Run, way: str) -> None:
    screen = first_screen(run("analyze", STORY / f"orders-small-java25.{way}.txt"))
    assert "45 of 50 request threads are in one external call: SchedulingGateway.requestSlot" in screen
    assert "no read timeout" in screen
    assert "5 more threads wait behind it" in screen


def test_python_orders_from_a_pipe(tmp_path: Path) -> None:
    done = real("analyze", stdin=(STORY / "python-orders.py-spy.txt").read_bytes(), COLUMNS="80")
    screen = first_screen(Result(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert (
        "450 of 500 request_* threads are in one external call: orders/scheduling.py:SchedulingClient.reserve" in screen
    )
    assert "HTTP, requests, waiting for the response" in screen
    assert "no read timeout by default, and this dump does not show whether one is set" in screen
    assert "50 more threads wait behind it, for a slot of its pool (inferred), without a timeout" in screen
    assert done.stderr == b""


def test_python_orders_with_locals_from_a_pipe() -> None:
    done = real("analyze", stdin=(STORY / "python-orders-small.py-spy-locals.txt").read_bytes(), COLUMNS="80")
    screen = first_screen(Result(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert (
        "45 of 50 request_* threads are in one external call: orders/scheduling.py:SchedulingClient.reserve" in screen
    )
    assert "HTTP, requests, waiting for the response; no read timeout." in screen
    assert "5 more threads wait behind it" in screen


def test_python_scheduling_from_a_pipe() -> None:
    done = real("analyze", stdin=(STORY / "python-scheduling.py-spy.txt").read_bytes(), COLUMNS="80")
    screen = first_screen(Result(done.returncode, done.stdout.decode(), done.stderr.decode()))
    assert '24 of 25 sched-worker_* threads wait behind one owner: "sched-worker_0" ' in screen
    assert "the lock taken in LegacyCalendar.reserve_slot" in screen
    assert "inferred" in screen


@pytest.mark.parametrize("path", recorded(FIXTURES / "healthy"), ids=lambda path: path.name)
def test_a_healthy_dump_has_no_finding_of_medium_or_above(run: Run, path: Path) -> None:
    result = run("analyze", path, "--fail-on", "medium", "--format", "json")
    report = json.loads(result.out)
    assert report["dumps"][0]["threads"]["total"] > 15
    assert (result.code, report["findings"]) == (0, [])


# --- exit codes


@pytest.mark.parametrize("level", SEVERITIES)
def test_fail_on_is_met_by_this_severity_and_worse(run: Run, level: str) -> None:
    medium = STORY.parent / "hotspot" / "hikari-pool.txt"
    worst = json.loads(run("analyze", medium, "-f", "json").out)["findings"][0]["severity"]
    assert run("analyze", medium, "--fail-on", level).code == (
        1 if SEVERITIES.index(worst) <= SEVERITIES.index(level) else 0
    )
    assert run("analyze", ORDERS, "--fail-on", level).code == 1
    assert run("analyze", HEALTHY, "--fail-on", level).code == 0


def test_fail_on_looks_at_every_dump(run: Run) -> None:
    assert run("analyze", HEALTHY, ORDERS, "--fail-on", "critical").code == 1
    assert run("analyze", HEALTHY, ORDERS).code == 0


def test_strict_wants_an_input_without_problems(run: Run, tmp_path: Path) -> None:
    cut = tmp_path / "cut.txt"
    cut.write_bytes(HEALTHY.read_bytes()[:9000])
    noisy = tmp_path / "noisy.txt"
    noisy.write_text(SMALL.replace("\tat com", "12:00 INFO order 7 placed\n\tat com"))
    assert run("analyze", HEALTHY, "--strict").code == 0
    assert run("analyze", cut).code == 0
    assert run("analyze", cut, "--strict").code == 3
    assert run("analyze", noisy, "--strict").code == 3
    assert run("analyze", noisy, HEALTHY, "--strict").code == 3
    # A finding that was asked for counts for more than a problem of the input.
    assert run("analyze", ORDERS, cut, "--strict", "--fail-on", "high").code == 1


NOT_A_DUMP = {
    "empty": (b"", "the input is empty", "jcmd PID Thread.print -l -e > dump.txt"),
    "blank": (b"\n  \n\n", "the input is empty", "py-spy dump --pid PID"),
    "log": (
        b"12:00:01 INFO started\n12:00:02 WARN slow\n" * 500,
        "no thread dump in it",
        "all that is read: threaddump formats",
    ),
    "one word": (b"hello", "no thread dump in it", "jcmd PID"),
    "program": (b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)) * 40, "an ELF file", "jhsdb jstack --exe"),
    "noise": (bytes(range(256)) * 40, "a binary file", "take a dump"),
    "zip": (b"PK\x03\x04" + bytes(300), "the zip archive is cut short or damaged", "zip -FF"),
    "gzip": (b"\x1f\x8b\x08" + bytes(300), "the gzip data is damaged", "copy the file again"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(300), "a 7z archive", "7z x -so FILE | threaddump analyze"),
    "heap dump": (b"JAVA PROFILE 1.0.2\0" + bytes(300), "a heap dump", "a heap dump has no waits"),
    "jstack did not attach": (
        b"4711: Unable to open socket file /proc/4711/root/tmp/.java_pid4711: target process 4711 doesn't respond "
        b"within 10500ms or HotSpot VM not loaded\n",
        "jstack or jcmd could not attach",
        "sudo -u USER jcmd PID Thread.print -l; or kill -3 PID",
    ),
    "jstack has no process": (b"4711: No such process\n", "no such process", "jps -l"),
    "py-spy may not": (
        b"Error: Failed to suspend process\nCaused by:\n    Permission Denied: Try running again with elevated "
        b"permissions by going 'sudo env \"PATH=$PATH\" !!'\n",
        "not allowed to read the target process",
        "SYS_PTRACE",
    ),
    "py-spy in a container": (b"Error: EPERM: Operation not permitted\n", "not allowed", "SYS_PTRACE"),
    "py-spy has no process": (
        b"Error: Failed to get process executable name. Check that the process is running.\n",
        "no such process",
        "pgrep",
    ),
    "py-spy on another runtime": (
        b"Error: Failed to find python version from target process\n",
        "not Python",
        "pip install -U py-spy",
    ),
    "the beginning of a javacore": (
        b"0SECTION       TITLE subcomponent dump routine\nNULL\n",
        "a thread dump begins in line 1, but no thread follows",
        "cut short",
    ),
    "a Node.js report": (b'{\n  "header": {\n    "dumpEventTime": "2026-11-25"\n', "Node.js", "javascriptStack"),
    "a trace of Chrome": (b'{"traceEvents":[{"ph":"X","pid":1}]}\n', "trace of Chrome", "perfetto"),
    "a V8 profile": (b'{"nodes":[{"id":1,"callFrame":{"functionName":"(root)"}}]}\n', "V8", "speedscope"),
    "perf script": (
        b"shop 4711/4712 1234.567890:     250000 cpu-clock:u: \n\t    7f3a5c0d1234 read+0x14 (libc.so.6)\n",
        "perf script",
        "stackcollapse",
    ),
    "perf.data": (b"PERFILE2" + bytes(80), "perf", "perf script"),
    "lldb": (
        b"* thread #1, name = 'shop', stop reason = signal SIGSTOP\n  * frame #0: 0x00007f libc.so.6`read\n",
        "lldb",
        "py-spy dump --native",
    ),
    "eu-stack": (b"PID 71 - process\nTID 71:\n#0  0x00007f3a5c read\n", "native backtrace", "py-spy dump --native"),
    "pstack": (
        b"Thread 2 (LWP 4712):\n#0  0x00007f3a5c in read () from /lib64/libc.so.6\n",
        "native backtrace",
        "py-spy dump --native",
    ),
    "austin without samples": (b"# austin: 3.7.0\n# mode: wall\n\n# duration: 1004104\n", "austin", "py-spy dump"),
    "a MOJO file": (b"MOJ\x03\x01austin\x003.7.0\x00", "austin MOJO", "mojo2austin"),
    "a slow log of PHP": (
        b"[25-Nov-2026 10:00:00]  [pool www] pid 71\nscript_filename = /srv/shop/index.php\n",
        "PHP-FPM",
        "no dump of one moment",
    ),
    "a crash dump of Erlang": (b"=erl_crash_dump:0.5\nWed Nov 25 10:00:00 2026\n", "Erlang", "cdv"),
    "Sidekiq's own backtraces": (b"WARN: Thread TID-oz7 processor\nWARN: /srv/x.rb:4:in `pop'\n", "Sidekiq", "sigdump"),
    "a minidump": (b"MDMP" + bytes(80), "minidump", "clrstack"),
    "a traceback": (
        b'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n',
        "Python tracebacks",
        "py-spy",
    ),
}


@pytest.mark.parametrize("name", NOT_A_DUMP)
def test_what_is_no_dump_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    content, said, advice = NOT_A_DUMP[name]
    path = tmp_path / "input.txt"
    path.write_bytes(content)
    for result in (run("analyze", path), run("analyze", stdin=content)):
        check_refused(result, said)
        assert advice in result.err
    assert str(path) in run("analyze", path).err


def test_a_title_without_threads_is_refused(run: Run) -> None:
    title = "12:00 INFO up\n" + SMALL[: SMALL.index('"worker-1"')]
    check_refused(run("analyze", stdin=title), "<stdin>: a thread dump begins in line 2, but no thread follows")


def test_a_missing_file_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("analyze", tmp_path / "none.txt")
    check_refused(result, "none.txt: No such file or directory")
    assert "check the path" in result.err


def test_a_glob_without_a_match_is_a_missing_file(run: Run, tmp_path: Path) -> None:
    check_refused(run("analyze", tmp_path / "*.txt"), "No such file or directory")


def test_an_unreadable_file_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.txt"
    path.write_text(SMALL)

    def refuse(self: Path, *arguments: object, **options: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    result = run("analyze", path)
    check_refused(result, "secret.txt: Permission denied")
    assert "sudo cat" in result.err


def test_a_file_that_fails_while_it_is_read_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    (tmp_path / "disk.txt").write_text(SMALL)
    monkeypatch.setattr(Path, "open", lambda *_, **__: Broken())
    check_refused(run("analyze", tmp_path / "disk.txt"), "disk.txt: reading failed: Input/output error")


def test_a_folder_without_dumps_is_refused(run: Run, tmp_path: Path) -> None:
    check_refused(run("analyze", tmp_path), "the folder has no files")
    (tmp_path / "a.log").write_text("nothing\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.log").write_text("nothing\n")
    check_refused(run("analyze", tmp_path), "no thread dump in 2 of 2 files")


def test_nothing_named_on_a_terminal_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("analyze", stdin=Terminal())
    check_refused(result, "no input: name a dump file or pipe one in")
    assert "threaddump analyze dump.txt" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze", "--colour"],
        ["analyze", "--format", "pdf", "x"],
        ["analyze", "--top", "none", "x"],
        ["analyze", "--top", "0", "x"],
        ["analyze", "--fail-on", "terrible", "x"],
        ["analyse", "x"],
        ["--bogus"],
    ],
)
def test_bad_usage(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "Usage: threaddump" in result.err
    assert "Error: " in result.err


def test_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "threaddump", "analyze"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        # More than a pipe holds: once this returns, the command has begun to read.
        process.stdin.write(b"12:00:01 INFO waiting\n" * 40_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


@pytest.mark.parametrize("form", ["terminal", "json"])
def test_a_reader_that_goes_away_is_no_error(form: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "threaddump", "analyze", *map(str, recorded(STORY)), "--format", form, "--top", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    assert err == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_said() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "threaddump", "analyze", str(HEALTHY)],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"threaddump: the report cannot be written: No space left on device\n  try: ")


def test_closed_streams_are_said() -> None:
    script = (
        "import sys; from threaddump import cli\n"
        "sys.stdout = sys.stdin = None\n"
        f"sys.argv = ['threaddump', 'analyze', {str(HEALTHY)!r}]\n"
        "try: cli.main()\n"
        "except SystemExit as end: print(end.code, file=sys.stderr)\n"
        "sys.argv[2] = '-'\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "threaddump: standard output is closed" in done.stderr
    assert "threaddump: <stdin>: standard input is closed" in done.stderr
    assert "Traceback" not in done.stderr


# --- inputs


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input(run: Run, arguments: list[str]) -> None:
    result = run("analyze", *arguments, "-f", "json", stdin=SMALL)
    assert result.code == 0
    assert json.loads(result.out)["dumps"][0]["source"] == "<stdin>"


def test_what_works_is_reported_and_the_rest_named(run: Run, tmp_path: Path) -> None:
    good, bad, empty = tmp_path / "good.txt", tmp_path / "bad.txt", tmp_path / "none"
    good.write_text(SMALL)
    bad.write_text("hello\n")
    empty.mkdir()
    result = run("analyze", bad, good, tmp_path / "missing.txt", empty, "-f", "json")
    assert result.code == 0
    assert [dump["source"] for dump in json.loads(result.out)["dumps"]] == [str(good)]
    complaints = [line for line in result.err.splitlines() if not line.startswith("  try: ")]
    assert len(complaints) == 3
    assert "bad.txt: no thread dump in it" in complaints[0]
    assert "missing.txt: No such file" in complaints[1]
    assert "none: the folder has no files" in complaints[2]


def test_none_of_several_works(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("hello\n")
    result = run("analyze", tmp_path / "bad.txt", tmp_path / "missing.txt")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("threaddump: ") == 2


def test_a_folder_counts_what_is_no_dump(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "dump.txt").write_text(SMALL)
    (tmp_path / "notes.md").write_text("# Notes\n")
    (tmp_path / ".hidden").write_text(SMALL)
    result = run("analyze", tmp_path, "-f", "json")
    assert [Path(dump["source"]).name for dump in json.loads(result.out)["dumps"]] == ["dump.txt"]
    assert (result.code, result.err) == (0, "threaddump: no thread dump in 1 of 2 files\n")


def test_a_file_name_cannot_write_to_the_terminal(run: Run, tmp_path: Path) -> None:
    name = "a\x1b[31m\u202e\r.txt"
    for arguments in ([tmp_path / name], [tmp_path / "*.txt"], ["--format", name], ["--\x1b[31mx"]):
        (tmp_path / name).write_text("hello\n")
        result = run("analyze", *arguments)
        assert result.code == 2
        assert not set("\x1b\u202e\r") & set(result.err + result.out), arguments
    (tmp_path / name).write_text(SMALL)
    for form in Format:
        result = run("analyze", tmp_path, "-f", form)
        assert result.code == 0
        assert not set("\x1b\u202e\r") & set(result.err + result.out), form


CUT = (STORY / "orders-small-java25.jcmd.txt").read_bytes()
SCHEDULING = (STORY / "scheduling.kill3.txt").read_bytes()
PY_SPY = (STORY / "python-scheduling.py-spy.txt").read_bytes()
PY_JSON = (STORY / "python-scheduling.py-spy-json.json").read_bytes()
FAULT = (FIXTURES / "faulthandler" / "requests-no-timeout.txt").read_bytes()


@pytest.mark.parametrize(
    ("content", "name"),
    [(CUT, "jcmd"), (SCHEDULING, "kill3"), (PY_SPY, "py-spy"), (PY_JSON, "py-spy-json"), (FAULT, "faulthandler")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_dump_cut_anywhere_is_analysed(run: Run, content: bytes, name: str) -> None:
    """Every cut gives what is there, with line numbers within the input; only without a thread it is refused."""
    previous = 0
    cuts = [*range(1, 1200, 97), *range(1200, len(content), max(len(content) // 25, 1))]
    for cut in cuts:
        piece = content[:cut]
        result = run("analyze", "-f", "json", stdin=piece)
        if result.code == 2:
            assert not previous, f"cut at {cut}: refused, but a shorter piece was not"
            assert result.err.startswith("threaddump: ")
            continue
        report = json.loads(result.out)
        VALIDATOR.validate(report)
        lines = piece.count(b"\n") + 1
        (dump,) = report["dumps"]
        assert all(1 <= problem["line"] <= lines for problem in dump["problems"])
        assert all(1 <= evidence["line"] <= lines for found in report["findings"] for evidence in found["evidence"])
        assert dump["threads"]["total"] >= previous
        previous = dump["threads"]["total"]
        if name == "jcmd" and b"JNI global refs" not in piece:
            assert dump["truncated"], f"cut at {cut}"
            assert "truncated-input" in {found["id"] for found in report["findings"]}
    assert previous > 5


# --- outputs


def test_output_writes_the_report_to_a_file(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    result = run("analyze", HEALTHY, "--output", target)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert target.read_text("utf-8") == run("analyze", HEALTHY).out
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]


def test_output_is_whole_or_not_there(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.txt"
    target.write_text("the old report")

    def fail(report: object, out: io.StringIO, form: object, top: object) -> None:
        out.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli.dumps, "write_report", fail)
    result = run("analyze", HEALTHY, "--output", target)
    check_refused(result, "report.txt: cannot be written: No space left on device")
    assert target.read_text() == "the old report"
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]


def test_output_is_not_touched_when_nothing_is_usable(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    target.write_text("the old report")
    assert run("analyze", "--output", target, stdin="hello\n").code == 2
    assert target.read_text() == "the old report"


def test_an_output_that_cannot_be_written_is_refused(run: Run, tmp_path: Path) -> None:
    for target in (tmp_path / "none" / "report.txt", tmp_path):
        result = run("analyze", HEALTHY, "--output", target)
        check_refused(result, "cannot be written")
        assert "choose another file" in result.err


def test_top_limits_what_is_shown(run: Run) -> None:
    short, long = (run("analyze", FIXTURES / "hotspot" / "chain-of-six.txt", "--top", top).out for top in (1, 1000))
    assert "more group" in short
    assert "more group" not in long
    assert len(short.splitlines()) < len(long.splitlines())


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_other_formats(run: Run, form: str) -> None:
    result = run("analyze", ORDERS, STORY / "python-scheduling.py-spy.txt", "--format", form)
    assert result.code == 0
    if form == "json":
        report = json.loads(result.out)
        VALIDATOR.validate(report)
        assert report["version"] == threaddump.__version__
        assert [dump["format"] for dump in report["dumps"]] == ["hotspot", "py-spy"]
        assert report["groups"][0]["count"] == 450
    else:
        assert "450 of 500 request threads" in result.out
        assert result.out.count("\n#") >= 2


FOLDERS = sorted(path for path in FIXTURES.iterdir() if path.is_dir() and path.name != "programs")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_fixture_gives_a_valid_report(run: Run, folder: Path) -> None:
    paths = recorded(folder)
    result = run("analyze", *paths, "-f", "json")
    assert result.code == 0
    report = json.loads(result.out)
    VALIDATOR.validate(report)
    assert {dump["source"] for dump in report["dumps"]} == {str(path) for path in paths}
    assert all(dump["threads"]["total"] for dump in report["dumps"])


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals(
    run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], colored: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("analyze", ORDERS).code == 0
    assert ("\x1b[" in terminal.getvalue()) is colored


def test_a_pipe_gets_no_colours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in run("analyze", ORDERS).out


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_report_fits_the_width(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, run("analyze", ORDERS).out.splitlines())) <= width


def test_output_that_is_not_utf8_is_no_error() -> None:
    done = real("analyze", HEALTHY, PYTHONIOENCODING="ascii", COLUMNS="80")
    assert done.returncode == 0, done.stderr


# --- help


def test_version(run: Run) -> None:
    assert run("--version") == Result(0, f"threaddump {threaddump.__version__}\n", "")


def test_help_names_the_commands_and_how_to_start(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    lines = result.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "  analyze    Say what threads are stuck on, who waits behind them, what to do." in lines
    assert "    threaddump analyze dump.txt" in lines
    assert "    py-spy dump --pid PID | threaddump analyze" in lines
    assert not [line for line in lines[1:] if line.endswith("...")]


def test_help_of_analyze_has_examples_and_exit_codes(run: Run) -> None:
    result = run("analyze", "--help")
    assert result.code == 0
    lines = result.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    for example in (
        "threaddump analyze dump.txt",
        "py-spy dump --pid 123 | threaddump analyze",
        "kubectl exec POD -- jcmd 1 Thread.print -l | threaddump analyze -f markdown",
    ):
        assert f"    {example}" in lines
    start = lines.index("  Exit codes:")
    codes = [line.split(maxsplit=1) for line in lines[start + 1 :] if line.strip()]
    assert [code for code, _ in codes] == ["0", "1", "2", "3", "130"]
    for option in ("--format", "--output", "--top", "--fail-on", "--strict", "terminal|markdown|json"):
        assert option in result.out


def test_no_command_shows_the_help(run: Run) -> None:
    result = run()
    assert result.code == 2
    assert "Commands:" in result.out + result.err


# --- the application's source


def test_source_roots_are_read_and_can_be_repeated(run: Run, tmp_path: Path) -> None:
    programs = FIXTURES / "programs" / "python"
    dump = str(FIXTURES / "faulthandler" / "c-calls.txt")
    shown = run("analyze", "--source-root", str(tmp_path), "--source-root", str(programs), dump)
    assert shown.code == 0
    assert "inferred from the source line `os.read(descriptor, 1)`" in " ".join(shown.out.split())
    report = json.loads(run("analyze", "-f", "json", "--source-root", str(programs), dump).out)
    VALIDATOR.validate(report)
    assert {group["inferred"] is None for group in report["groups"]} == {True, False}
    explained = run("explain", "--source-root", str(programs), "--line", "1", dump)
    assert "inferred from the source line" in " ".join(explained.out.split())


@pytest.mark.parametrize("command", ["analyze", "explain"])
def test_a_source_root_that_is_no_folder_ends_the_run(run: Run, tmp_path: Path, command: str) -> None:
    dump = str(FIXTURES / "faulthandler" / "c-calls.txt")
    line = ["--line", "1"] if command == "explain" else []
    shown = run(command, *line, "--source-root", str(tmp_path / "none"), dump)
    assert shown.code == 2
    assert "no such folder" in shown.err
