"""Times how long a live process stands still while its dump is taken, by `threaddump capture` and by others.

500 threads of the process wait in one call, and one thread ticks every millisecond and knows its longest gap: that is
the pause as the process feels it. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

THREADS = 500
NOTHING, OURS = "nothing", "threaddump capture"

JAVA = """
import java.net.*;
import java.util.*;
import java.util.concurrent.locks.LockSupport;

public class Ticks {
    static volatile long longest;

    static void call(String host, int port) {
        try (Socket socket = new Socket(host, port)) { socket.getInputStream().read(); } catch (Exception e) { }
    }

    static void tick() {
        for (long last = System.nanoTime();;) {
            LockSupport.parkNanos(1_000_000);
            long now = System.nanoTime();
            if (now - last > longest) longest = now - last;
            last = now;
        }
    }

    static void start(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] args) throws Exception {
        for (int i = 1; i <= Integer.parseInt(args[2]); i++)
            start("http-exec-" + i, () -> call(args[0], Integer.parseInt(args[1])));
        start("ticker", Ticks::tick);
        for (Scanner in = new Scanner(System.in); in.hasNextLine(); in.nextLine()) {
            System.out.println(longest / 1e6);
            System.out.flush();
            longest = 0;
        }
    }
}
"""

PYTHON = """
import socket, sys, threading, time

longest = 0.0

def call():
    socket.create_connection((sys.argv[1], int(sys.argv[2]))).recv(1)

def tick():
    global longest
    last = time.perf_counter()
    while True:
        time.sleep(0.001)
        now = time.perf_counter()
        longest = max(longest, now - last)
        last = now

for number in range(int(sys.argv[3])):
    threading.Thread(target=call, name=f"worker-{number}", daemon=True).start()
threading.Thread(target=tick, name="ticker", daemon=True).start()
for line in sys.stdin:
    print(longest * 1000, flush=True)
    longest = 0.0
"""


@dataclass(slots=True)
class Case:
    """A runtime, the process to start in it, and its own way to take a dump."""

    name: str
    command: list[str]
    own: str
    dump: list[str]
    """Without the pid, which stands at its end or, for jcmd, before what is asked."""
    asked: list[str] = field(default_factory=list)


class Ticking:
    """The process that is dumped."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def longest(self) -> float:
        """The longest gap between two ticks since it was asked last, in milliseconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds of each command, interleaved (default 15)")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"threads in the call (default {THREADS})")
    parser.add_argument("--java", action="append", help="a JDK's java; may be repeated (default: that on the PATH)")
    options = parser.parse_args()
    ours = shutil.which("threaddump", path=str(Path(sys.executable).parent))
    if ours is None:
        sys.exit("threaddump is not installed beside this Python: pip install -e .")
    print(f"{options.threads} threads in one call; longest gap of a thread that ticks every ms, median of the rounds")
    print(f"\n{'process':<11}  {'what is done to it':<42}  {'gap ms':>7}  {'worst':>7}  {'x own':>6}  {'took s':>6}")
    with tempfile.TemporaryDirectory(prefix="threaddump-pause-") as folder, _silent_peer() as (host, port):
        where = [host, str(port), str(options.threads)]
        for case in _cases(options.java or [shutil.which("java")], where, Path(folder)):
            _measure(case, ours, options.rounds, folder)


def _cases(javas: Sequence[str | None], where: list[str], folder: Path) -> Iterator[Case]:
    for java in javas:
        jcmd = _beside(java, "jcmd")
        if java is None or jcmd is None:
            print(f"{java or 'java'}: no JDK with jcmd: not measured")
            continue
        source = folder / "Ticks.java"
        source.write_text(JAVA, encoding="utf-8")
        version = subprocess.run([java, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
        command = [java, "-Xmx128m", str(source), *where]
        name = f"Java {version.partition('.')[0]}"
        yield Case(name, command, "jcmd PID Thread.print -l -e", [jcmd], ["Thread.print", "-l", "-e"])
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        print("py-spy is not installed: Python is not measured")
        return
    command = [sys.executable, "-c", PYTHON, *where]
    name = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    yield Case(name, command, "py-spy dump --pid PID", [spy, "dump", "--pid"])


def _beside(java: str | None, name: str) -> str | None:
    found = Path(java).resolve().with_name(name) if java else None
    return str(found) if found is not None and found.exists() else None


def _measure(case: Case, ours: str, rounds: int, folder: str) -> None:
    process = Ticking(case.command)
    try:
        pid = str(process.pid)
        _settled(process)
        commands = {
            NOTHING: [sys.executable, "-c", "import time; time.sleep(0.5)"],
            case.own: [*case.dump, pid, *case.asked],
            OURS: [ours, "capture", pid, "--output", f"{folder}/", "--no-rules"],
            f"{OURS} --no-analyze": [ours, "capture", pid, "--output", f"{folder}/", "--no-analyze"],
        }
        gaps: dict[str, list[float]] = {name: [] for name in commands}
        took: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                process.longest()
                begun = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                seconds = time.perf_counter() - begun
                gap = process.longest()
                if turn:  # the first warms caches, and starts the JVM's listener
                    gaps[name].append(gap)
                    took[name].append(seconds)
    finally:
        process.close()
    own = median(gaps[case.own])
    for name in commands:
        ratio = f"{median(gaps[name]) / own:.2f}" if name != NOTHING else ""
        values = f"{median(gaps[name]):7.1f}  {max(gaps[name]):7.1f}  {ratio:>6}  {median(took[name]):6.2f}"
        print(f"{case.name:<11}  {name:<42}  {values}", flush=True)


def _settled(process: Ticking) -> None:
    """Until it ticks without long gaps: a JVM compiles, and 500 threads connect, for a moment."""
    for _ in range(40):
        process.longest()
        time.sleep(0.5)
        if process.longest() < 20:
            return


@contextmanager
def _silent_peer() -> Iterator[tuple[str, int]]:
    """The address of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()


if __name__ == "__main__":
    main()
