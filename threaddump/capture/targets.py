"""The JVM and Python processes of this machine: which there are, and which ones a user means.

Told by what is mapped into their memory (``libjvm.so``, ``libj9vm``, ``libpython``), which holds whatever the program
file is called, and by the name of the program where another user's memory may not be looked at. Processes in containers
are among them: the kernel shows them to whoever looks from outside.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from threaddump.sources import InputError

if TYPE_CHECKING:
    import psutil

Runtime = Literal["jvm", "openj9", "python"]
_MAPPED: tuple[tuple[str, Runtime], ...] = (("/libj9vm", "openj9"), ("/libjvm.", "jvm"), ("/libpython", "python"))
_PROGRAM = re.compile(
    r"(?:[/\\]|^)(?:(?P<jvm>javaw?|jsvc)|(?P<python>[Pp]ython\d?(?:\.\d+)?t?|uwsgi|pypy3?))(?:\.exe)?$"
)
"""macOS's own builds of Python are called ``Python``."""
_VERSIONED = re.compile(r"(?:lib)?python(\d\.\d+)|Python\.framework/Versions/(\d\.\d+)|[/\\]Python(\d)(\d+)[/\\]")
"""Of Linux and others, of macOS, and of the installer for Windows."""
_RELEASE = re.compile(r'^JAVA_VERSION="([^"\n]{1,40})"', re.MULTILINE)
_WORDS_SHOWN = 12
_OURS = ("threaddump", "py-spy", "jcmd", "jstack", "jattach")
_MAPS_READ = 1 << 20


@dataclass(frozen=True)
class Target:
    """A process that can be dumped. It is that process and no other: a pid is used again after its end."""

    pid: int
    created: float
    """Seconds since the epoch."""
    runtime: Runtime
    program: str
    """Path of the program as the process sees it; empty where it may not be seen."""
    command: tuple[str, ...]
    process: psutil.Process | None = field(default=None, compare=False, repr=False)
    """The same as psutil knows it, which tells a process from another with its pid."""

    @cached_property
    def version(self) -> str | None:
        """``17.0.15`` or ``3.11``, from the files of the installation; None where they do not tell."""
        if self.runtime == "python":
            match = _VERSIONED.search(self.program) or _VERSIONED.search(_maps(self.pid))
            return ".".join(part for part in match.groups() if part) if match else None
        home = Path(self.program).parent.parent
        for release in (home / "release", home.parent / "release"):  # of a JDK 8 it is above jre/
            try:
                text = _as_it_sees(self.pid, release).read_text("utf-8", "replace")
            except OSError:
                continue
            match = _RELEASE.search(text)
            if match:
                return match[1]
        return None

    @cached_property
    def name(self) -> str:
        """What it runs: the main class or jar, the script or module."""
        return _main(self.command[1:], self.runtime) or Path(self.program or self.command[0]).name

    def alive(self) -> bool:
        """Whether the process that was found is still there under this pid."""
        import psutil

        try:
            return (
                self.process is not None and self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    @property
    def replaced(self) -> bool:
        """Whether it has ended and another process has its pid now."""
        import psutil

        try:
            return self.process is not None and psutil.Process(self.pid) != self.process
        except psutil.Error:
            return False  # nobody has it

    def end_words(self) -> str:
        """``process 4711 has ended``, and what is to be known of its pid."""
        if self.replaced:
            return f"process {self.pid} has ended, and its pid is that of another process now"
        return f"process {self.pid} has ended"


def _within_its_root(pid: int, program: str) -> str:
    """The path without the folder that the process has as its root (``chroot``); a container's path has none."""
    if sys.platform != "linux":
        return program
    try:
        root = os.readlink(f"/proc/{pid}/root").rstrip("/")
    except OSError:
        return program  # it may not be looked at
    return program.removeprefix(root) if program.startswith(f"{root}/") else program


def _as_it_sees(pid: int, path: Path) -> Path:
    """A path of the process's own file system, which on Linux need not be ours."""
    return Path(f"/proc/{pid}/root") / str(path).lstrip("/") if sys.platform == "linux" else path


def _main(words: Sequence[str], runtime: Runtime) -> str:
    """``com.shop.Orders``, ``orders.jar``, ``orders/app.py``, ``celery`` of ``-m celery``."""
    takes_value = {
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--add-modules",
        "-W",
        "-X",
        "--add-opens",
    }
    at = 0
    while at < len(words):
        word = words[at]
        if word in {"-jar", "-m", "--module", "-c"}:
            value = words[at + 1] if at + 1 < len(words) else ""
            return Path(value).name if word == "-jar" else "-c" if word == "-c" else value
        if not word.startswith("-"):
            parts = word.replace("\\", "/").split("/")
            return word if runtime != "python" else "/".join(parts[-2:])
        at += 2 if word in takes_value else 1
    return ""


def processes() -> Iterator[Target]:
    """All JVM and Python processes that can be seen, without our own."""
    import psutil

    own = {os.getpid(), os.getppid()}
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        target = _target(process)
        if target is not None and not _is_tool(target):
            yield target


def _target(process: psutil.Process) -> Target | None:
    import psutil

    try:
        with process.oneshot():
            command = tuple(process.cmdline())
            if not command:
                return None  # a thread of the kernel, or a process that has ended
            try:
                program = _within_its_root(process.pid, process.exe())
            except psutil.AccessDenied:
                program = ""
            runtime = _runtime(process.pid, program or command[0])
            if runtime is None:
                return None
            return Target(process.pid, process.create_time(), runtime, program, command, process)
    except psutil.Error:
        return None


def _runtime(pid: int, program: str) -> Runtime | None:
    match = _PROGRAM.search(program)
    mapped = _maps(pid)
    for library, runtime in _MAPPED:
        if library in mapped:
            return runtime
    if match is None:
        return None
    return "jvm" if match["jvm"] else "python"


def _maps(pid: int) -> str:
    """What is mapped into its memory; empty where that may not, or cannot be looked at."""
    if sys.platform != "linux":
        return ""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            return file.read(_MAPS_READ).decode("utf-8", "replace")
    except OSError:
        return ""


def _is_tool(target: Target) -> bool:
    """This program or another that takes dumps."""
    return any(Path(word).name in _OURS for word in target.command[:3])


def find(patterns: Sequence[str], everything: bool) -> list[Target]:
    """The processes that the patterns mean: a pid, or a glob or a part of the name or of the command.

    Raises InputError where a pattern means none, or a pid is no process that can be dumped.
    """
    found: dict[int, Target] = {}
    known: list[Target] | None = None
    for pattern in patterns:
        if pattern.isdecimal():
            target = by_pid(int(pattern))
            found[target.pid] = target
            continue
        known = list(processes()) if known is None else known
        matching = [target for target in known if _means(pattern, target)]
        if not matching:
            raise InputError(f"no JVM or Python process is called {pattern}", "threaddump ps lists them")
        found |= {target.pid: target for target in matching}
    if everything:
        found |= {target.pid: target for target in known or processes()}
        if not found:
            raise InputError("no JVM or Python process is running here", "threaddump ps; run as root to see all")
    return list(found.values())


def by_pid(pid: int) -> Target:
    """The process with this pid. Raises InputError where it is none that can be dumped."""
    import psutil

    try:
        process = psutil.Process(pid)
        target = _target(process)
    except (psutil.Error, ValueError, OverflowError) as error:
        raise InputError(f"there is no process {pid}", "threaddump ps lists the JVM and Python processes") from error
    if target is None:
        raise InputError(
            f"process {pid} is neither a JVM nor Python ({process.name()})", "threaddump ps lists those that are"
        )
    return target


def _means(pattern: str, target: Target) -> bool:
    texts: Iterable[str] = (target.name, " ".join(target.command))
    if any(c in pattern for c in "*?["):
        return any(fnmatchcase(text, pattern) for text in texts)
    return any(pattern in text for text in texts)


def age(target: Target) -> float:
    """Seconds since its start."""
    return max(time.time() - target.created, 0.0)
