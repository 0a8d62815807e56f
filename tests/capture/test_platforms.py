"""Where there is no Linux: modules import, ``ps`` lists, ``capture`` uses the tools there are and says what is missing.

No such machine is at hand, so the platform is a pretended one: a process in which ``sys.platform`` says so, in which
what only Linux or only POSIX has is taken away, and in which our code may not open anything below ``/proc``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from live_programs import JAVA, PYTHON, SECONDS, process, require

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools that are looked for are POSIX programs")

PRETEND = """
import builtins, os, shutil, signal, socket, sys, time
import click, psutil, rich.console, typer  # they ask for the platform when they are imported

platform = sys.argv.pop(1)
touched = []

def watch(event, arguments):
    path = arguments[0] if arguments else None
    if event not in {"open", "os.listdir", "os.scandir"} or not str(path).startswith("/proc"):
        return
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if "psutil" in name:
            return
        if "threaddump" in name:
            touched.append(str(path))
            raise FileNotFoundError(2, "there is no /proc", str(path))
        frame = frame.f_back

sys.addaudithook(watch)
sys.platform = platform
linux = {os: ["pidfd_open"], signal: ["pidfd_send_signal"], socket: ["AF_NETLINK"], time: ["CLOCK_BOOTTIME"]}
posix = {os: ["geteuid", "getuid", "seteuid", "setegid", "sysconf", "getloadavg", "getpgid"],
         signal: ["SIGQUIT", "SIGKILL"], socket: ["AF_UNIX"]}
for module, names in [*linux.items(), *(posix.items() if platform == "win32" else ())]:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
if platform == "win32":
    shutil.which = lambda name, path=None: None  # it would call Windows

import importlib, pkgutil
import threaddump.capture, threaddump.watching
for package in (threaddump.capture, threaddump.watching):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
from threaddump.cli import main

try:
    main()
finally:
    sys.stdout.flush()
    if touched:
        print("TOUCHED", touched, file=sys.stderr)
"""


def pretended(platform: str, *words: str, code: int = 0) -> tuple[str, str]:
    """Output and messages of ``threaddump`` on that platform."""
    command = [sys.executable, "-c", PRETEND, platform, *words]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert "TOUCHED" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("classes")
    source = folder / "Caller.java"
    source.write_text(JAVA, encoding="utf-8")
    subprocess.run([require("javac"), "--release", "17", "-d", folder, source], check=True, timeout=SECONDS)
    return [require("java"), "-Xmx64m", "-cp", str(folder), "Caller"]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_ps_lists_by_psutil_alone(platform: str, java: list[str]) -> None:
    listening = "import socket; s = socket.create_server(('127.0.0.1', 0)); print('started', flush=True); s.accept()"
    with process(java) as jvm, process([sys.executable, "-c", listening]) as python:
        out, _ = pretended(platform, "ps", "--format", "json")
        rows: dict[int, dict[str, Any]] = {row["pid"]: row for row in json.loads(out)}
        assert (rows[jvm.pid]["runtime"], rows[jvm.pid]["name"]) == ("jvm", "Caller")
        assert rows[jvm.pid]["version"]
        assert rows[python.pid]["runtime"] == "python"
        assert rows[python.pid]["listening"][0].startswith("127.0.0.1:")
        text, _ = pretended(platform, "ps")
        assert str(jvm.pid) in text


def test_a_capture_by_the_tools_there_are(java: list[str], tmp_path: Path) -> None:
    require("jcmd")
    with process(java) as jvm, process([sys.executable, "-c", PYTHON]) as python:
        words = ["capture", str(jvm.pid), str(python.pid), "--output", f"{tmp_path}/", "--format", "json"]
        out, said = pretended("darwin", *words)
        assert "jcmd Thread.print -l -e" in said
        assert "py-spy dump" in said
        assert "is read on Linux only" in said
        assert {dump["format"] for dump in json.loads(out)["dumps"]} == {"hotspot", "py-spy"}
        assert b"threaddump-os" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        watched, _ = pretended("darwin", "watch", str(python.pid), "--looks", "1")
        assert "1 thread" in watched


@pytest.mark.parametrize(
    ("platform", "next_command"), [("darwin", "or kill -QUIT {}"), ("win32", "of a JDK, as the process's user")]
)
def test_tools_that_are_missing_are_named(
    platform: str, next_command: str, java: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"  # without a jcmd beside its java
    subprocess.run([require("jlink"), "--add-modules", "java.base", "--output", runtime], check=True, timeout=SECONDS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with process([runtime / "bin" / "java", *java[1:]]) as jvm:
        _, said = pretended(platform, "capture", str(jvm.pid), "--output", f"{tmp_path}/kept/", code=2)
        assert "the JVM's own jcmd: there is none; jattach: there is none" in said
        assert next_command.format(jvm.pid) in said
        assert jvm.poll() is None
    assert not (tmp_path / "kept").exists()


def test_py_spy_that_is_missing_is_named() -> None:
    with process([sys.executable, "-c", PYTHON]) as python:
        _, said = pretended("win32", "capture", str(python.pid), code=2)
        assert "py-spy is not installed" in said
