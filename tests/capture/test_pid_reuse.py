"""A pid that is used again, really: in a pid namespace of its own, where the next pid can be chosen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from live_programs import SECONDS, process, require, require_root
from threaddump.capture.attach import AttachError, quit_signal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pid namespaces are Linux's")

DRIVER = """
import json, os, signal, subprocess, sys
from pathlib import Path

SLEEP = "import time; print('started', flush=True); time.sleep(300)  # {}"
LAST = Path("/proc/sys/kernel/ns_last_pid")

def started(name):
    running = subprocess.Popen([sys.executable, "-c", SLEEP.format(name)], stdout=subprocess.PIPE)
    assert running.stdout.readline() == b"started\\n"
    return running

def replaced(first):
    '''Another process with the pid of this one, which has ended.'''
    first.kill()
    first.communicate()
    for _ in range(100):  # anything else that is started here may take it first
        LAST.write_text(str(first.pid - 1))
        second = subprocess.Popen([sys.executable, "-c", SLEEP.format("second")], stdout=subprocess.PIPE)
        if second.pid == first.pid:
            assert second.stdout.readline() == b"started\\n"
            return second
        second.kill()
        second.communicate()
    raise SystemExit("the pid was not given again")
"""

BETWEEN_ROUNDS = """
first = started("first")
command = [sys.executable, "-m", "threaddump", "capture", str(first.pid), "--count", "3", "--interval", "0.5",
           "--output", sys.argv[1], "--format", "json"]
capturing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
said = capturing.stderr.readline()
assert b"round 1 of 3" in said, said
os.kill(capturing.pid, signal.SIGSTOP)  # the next round begins when there is another process
os.waitid(os.P_PID, capturing.pid, os.WSTOPPED)
second = replaced(first)
os.kill(capturing.pid, signal.SIGCONT)
report, errors = capturing.communicate()
print(json.dumps({"pid": first.pid, "said": (said + errors).decode(), "code": capturing.returncode,
                  "dumps": len(json.loads(report)["dumps"]), "alive": second.poll() is None}))
second.kill()
"""

WITHIN_A_ROUND = """
import threaddump.capture
from threaddump.capture import InputError, Options, capture
from threaddump.capture.targets import by_pid

module = sys.modules["threaddump.capture.take"]  # the package has a function of that name

first = started("first")
target = by_pid(first.pid)
second = None

def exchanged():
    global second
    second = second or replaced(first)

step = sys.argv[1]
if step == "before":
    exchanged()
elif step == "while":
    original = module._py_spy
    def py_spy(*arguments):
        exchanged()
        return original(*arguments)
    module._py_spy = py_spy
else:
    original = threaddump.capture.take
    def taking(*arguments, **options):
        taken = original(*arguments, **options)
        exchanged()
        return taken
    threaddump.capture.take = taking
try:
    result = capture(target, 1, Options()).text.decode()
except InputError as error:
    result = str(error)
print(json.dumps({"pid": first.pid, "result": result, "alive": second.poll() is None}))
second.kill()
"""


def run(script: str, *words: str) -> dict[str, Any]:
    """What a script prints that runs in a pid namespace of its own."""
    require_root()
    command = [require("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c"]
    done = subprocess.run(
        [*command, DRIVER + script, *words], capture_output=True, timeout=SECONDS, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_between_rounds(tmp_path: Path) -> None:
    found = run(BETWEEN_ROUNDS, f"{tmp_path}/")
    assert found["code"] == 0, found["said"]
    assert f"process {found['pid']} has ended, and its pid is that of another process now" in found["said"]
    assert "round 2 of 3" not in found["said"]
    assert "round 3 of 3" not in found["said"]
    assert (found["dumps"], found["alive"]) == (1, True)
    (kept,) = tmp_path.iterdir()
    assert b"# first" in kept.read_bytes().splitlines()[0]


@pytest.mark.parametrize("step", ["before", "while", "after"])
def test_within_a_round(step: str) -> None:
    found = run(WITHIN_A_ROUND, step)
    assert f"process {found['pid']} has ended, and its pid is that of another process now" in found["result"]
    assert "Thread" not in found["result"]
    assert found["alive"]


# --- the signal


def test_no_signal_to_another_process() -> None:
    """SIGQUIT would end one that does not expect it."""
    script = (
        "import signal, time; signal.signal(3, lambda *_: print('signal', flush=True)); "
        "print('started', flush=True); time.sleep(300)"
    )
    with process([sys.executable, "-c", script]) as running:
        with pytest.raises(AttachError, match=f"process {running.pid} has ended"):
            quit_signal(running.pid, lambda: False)
        quit_signal(running.pid, lambda: True)
        assert running.stdout is not None
        assert running.stdout.readline() == b"signal\n"  # one, and it is the second


def test_no_signal_to_one_that_it_would_end() -> None:
    with process(["sleep", "60"], started=False) as running:
        with pytest.raises(AttachError, match="does not handle SIGQUIT"):
            quit_signal(running.pid, lambda: True)
        assert running.poll() is None


def test_no_signal_to_nobody() -> None:
    with process(["true"], started=False) as running:
        running.wait()
        with pytest.raises(AttachError, match="has ended"):
            quit_signal(running.pid, lambda: True)


def test_the_signal_where_processes_cannot_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: seen.append((pid, number)))
    monkeypatch.setattr(signal, "SIGQUIT", 3)
    handler = signal.signal(signal.SIGQUIT, lambda *_: None)
    try:
        quit_signal(os.getpid(), lambda: True)
    finally:
        signal.signal(signal.SIGQUIT, handler)
    assert seen == [(os.getpid(), 3)]
