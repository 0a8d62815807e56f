"""Takes the dump of one process in the best way that works, and says which that was.

A JVM is asked itself (``attach.py``); if it does not answer, by its own ``jcmd``, by ``jattach``, and last by SIGQUIT,
whose dump goes to the process's standard output. Python is read from outside by py-spy. Every step ends in time.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from threaddump.capture.attach import Attached, AttachError, quit_signal, status
from threaddump.capture.facts import environment
from threaddump.capture.targets import Target
from threaddump.sources import InputError

_JAVA_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
_NO_ATTACH = "-XX:+DisableAttachMechanism"
_VERSION = re.compile(rb"Full thread dump [^\n]*?\((?:1\.)?(\d+)")
_END_OF_DUMP = (b"\nJNI global ref",)
_STEP = 0.05
_QUIET = 0.3
_JSON_LIMIT = 1 << 30
_ROOT = "run it as root: sudo threaddump capture {pid}"
_PTRACE = (
    "run it as root or as the process's user: sudo threaddump capture {pid}; in a container add the capability "
    "SYS_PTRACE (docker run --cap-add SYS_PTRACE; securityContext.capabilities.add in Kubernetes)"
)


@dataclass(slots=True)
class Taken:
    """A dump as the runtime printed it, and how it was taken."""

    text: bytes
    how: str
    tried: list[str] = field(default_factory=list)
    """Ways that did not work before, each with its reason."""
    took_ms: int = 0


def take(
    target: Target, seconds: float, *, native: bool = False, variables: bool = False, light: bool = False
) -> Taken:
    """Take the dump of a process; a light one is without virtual threads.

    Raises InputError where no way worked, with what to try next.
    """
    if not target.alive():
        raise InputError(target.end_words(), "threaddump ps lists the processes of now")
    if sys.platform == "linux" and _stopped(target.pid):
        raise InputError(
            f"process {target.pid} is stopped (SIGSTOP, a debugger or a frozen container): it cannot answer",
            f"let it go on first: kill -CONT {target.pid}",
        )
    start = time.monotonic()
    if target.runtime == "python":
        taken = _py_spy(target, seconds, native, variables)
    else:
        taken = _java(target, seconds, light)
    taken.took_ms = round((time.monotonic() - start) * 1000)
    return taken


def _stopped(pid: int) -> bool:
    try:
        return status(pid).state in {"T", "t"}
    except AttachError:
        return False


# --- Java


def _java(target: Target, seconds: float, light: bool) -> Taken:
    """The ways in their order; each says why it failed."""
    ways: list[tuple[str, Callable[[Target, float], Taken]]] = []
    if target.runtime == "jvm" and sys.platform == "linux" and not _attaching_disabled(target):
        ways.append(("attaching to the JVM", partial(_attached, light=light)))
    if not _attaching_disabled(target):
        ways += [("the JVM's own jcmd", _jcmd), ("jattach", _jattach)]
    if sys.platform == "linux":
        ways.append(("SIGQUIT", _quit))  # elsewhere nobody can see what it does with the signal, nor where it prints
    tried: list[str] = []
    for name, way in ways:
        if not target.alive():
            raise InputError(f"{target.end_words()} while its dump was taken", "threaddump ps")
        try:
            taken = way(target, seconds)
        except (AttachError, OSError, subprocess.SubprocessError) as error:
            tried.append(f"{name}: {error}")
            continue
        taken.tried = tried
        return taken
    owner = _another_user(target)
    if owner is not None:
        raise InputError(
            f"process {target.pid} belongs to user {owner}: a JVM answers only to its own user and to root",
            f"run it as root or as that user: sudo threaddump capture {target.pid}",
        )
    raise InputError(f"no dump of process {target.pid}: {'; '.join(tried)}", _next_command(target))


def _another_user(target: Target) -> str | None:
    """Whose process it is, where it is not ours and we are not root."""
    if sys.platform == "win32" or target.process is None:
        return None
    import psutil

    try:
        owner = target.process.uids().effective
        if os.geteuid() in (0, owner):
            return None
        return target.process.username()
    except psutil.Error:
        return None


def _next_command(target: Target) -> str:
    if _attaching_disabled(target):  # and so to jcmd; this tool reads memory, and works in spite of it
        return f"jhsdb jstack --locks --pid {target.pid}, of a JDK of its version; it holds the process meanwhile"
    if sys.platform == "win32":
        return f"jcmd {target.pid} Thread.print -l -e of a JDK, as the process's user"
    if sys.platform != "linux":
        return f"jcmd {target.pid} Thread.print -l -e of a JDK; or kill -QUIT {target.pid}, and read what it prints"
    return f"jcmd {target.pid} Thread.print -l -e, as the process's user and in its container"


def _attaching_disabled(target: Target) -> bool:
    options = environment(target.pid, _JAVA_OPTIONS).values() if sys.platform == "linux" else ()
    return _NO_ATTACH in target.command or any(_NO_ATTACH in value.split() for value in options)


def _attached(target: Target, seconds: float, light: bool) -> Taken:
    jvm = Attached(target.pid, seconds, target.alive)
    commands = (("jcmd", "Thread.print -l -e"), ("jcmd", "Thread.print -l"), ("threaddump", "-l"))
    for number, command in enumerate(commands):
        try:
            text = jvm.execute(*command)
            break
        except AttachError:
            # An option that an old JVM does not know, perhaps; the last one says what is wrong.
            if number == len(commands) - 1:
                raise
    taken = Taken(text, f"attach: {' '.join(command)}")
    version = _VERSION.search(text)
    if not light and version is not None and int(version[1]) >= 21:
        _add_virtual_threads(taken, jvm)
    return taken


def _add_virtual_threads(taken: Taken, jvm: Attached) -> None:
    """Virtual threads are in no text; their dump is a file that the JVM itself writes, in its own file system."""
    name = f"threaddump-{secrets.token_hex(6)}.json"
    path = jvm.root / "tmp" / name
    command = f"Thread.dump_to_file -format=json -overwrite /tmp/{name}"
    try:
        jvm.execute("jcmd", command)
        if path.stat().st_size > _JSON_LIMIT:
            raise AttachError("the dump of the virtual threads is larger than 1 GB")
        data = path.read_bytes()
    except (AttachError, OSError) as error:
        taken.tried.append(f"virtual threads: {error}")
        return
    finally:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            pass  # the process and its file system may have ended
    taken.text += (b"" if taken.text.endswith(b"\n") else b"\n") + data + b"\n"
    taken.how += f"; {command.partition(' -overwrite')[0]}"


def _jcmd(target: Target, seconds: float) -> Taken:
    """The ``jcmd`` beside the ``java`` that runs, else one on the PATH."""
    beside = Path(target.program).with_name("jcmd") if target.program else None
    same_files = _same_root(target.pid)
    tool = str(beside) if beside is not None and same_files and beside.exists() else shutil.which("jcmd")
    if tool is None:
        raise AttachError("there is none")
    return Taken(_run([tool, str(target.pid), "Thread.print", "-l", "-e"], seconds), "jcmd Thread.print -l -e")


def _same_root(pid: int) -> bool:
    if sys.platform != "linux":
        return True  # there is one file system
    try:
        return os.path.samefile(f"/proc/{pid}/root", "/")
    except OSError:
        return False  # it may not be looked at


def _jattach(target: Target, seconds: float) -> Taken:
    tool = shutil.which("jattach")
    if tool is None:
        raise AttachError("there is none")
    return Taken(_run([tool, str(target.pid), "jcmd", "Thread.print -l -e"], seconds), "jattach: Thread.print -l -e")


def _run(command: list[str], seconds: float) -> bytes:
    """A tool's output. Raises AttachError with what it said where it failed or did not end."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise AttachError(f"no answer in {seconds:.0f} s") from error
    if done.returncode != 0 or not done.stdout.strip():
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        told = [line for line in said if not line.startswith("\tat ")]  # without the stack of jcmd itself
        raise AttachError(told[-1][:300] if told else f"exit code {done.returncode}")
    return done.stdout


def _quit(target: Target, seconds: float) -> Taken:
    """SIGQUIT: HotSpot prints to its standard output, OpenJ9 writes a file into its working directory."""
    output = _own_output(target.pid)
    size = output.stat().st_size if output is not None else 0
    folder = Path(f"/proc/{target.pid}/cwd")
    before = _javacores(folder)
    quit_signal(target.pid, target.alive)
    if target.runtime == "openj9":
        return _javacore(folder, before, seconds)
    if output is None:
        where = _described_output(target.pid)
        raise AttachError(f"the dump went to the process's standard output, {where}: read it there")
    return Taken(_printed(output, size, seconds), f"SIGQUIT: from the process's standard output {_where(target.pid)}")


def _own_output(pid: int) -> Path | None:
    """The standard output as a file that can be read here; None for a pipe, a terminal or nothing."""
    path = Path(f"/proc/{pid}/fd/1")
    return path if path.is_file() else None


def _where(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/1")
    except OSError:
        return "which may not be looked at"


def _described_output(pid: int) -> str:
    where = _where(pid)
    if where.startswith(("pipe:", "socket:")):
        return f"{where}, which whoever started it reads (kubectl logs, docker logs, journalctl -u UNIT)"
    return where


def _printed(output: Path, size: int, seconds: float) -> bytes:
    """What was added to a file since, once the dump in it is complete and nothing has been added for a moment."""
    end = time.monotonic() + seconds
    seen, since = size, time.monotonic()
    while time.monotonic() < end:
        time.sleep(_STEP)
        now = output.stat().st_size
        if now != seen:
            seen, since = now, time.monotonic()
        elif seen > size and time.monotonic() - since > _QUIET:
            with output.open("rb") as file:
                file.seek(size)
                text = file.read(seen - size)
            if any(mark in text for mark in _END_OF_DUMP):
                return text
    raise AttachError("no whole dump came in time")


def _javacores(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if name.startswith("javacore.")}
    except OSError:
        return set()


def _javacore(folder: Path, before: set[str], seconds: float) -> Taken:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_STEP)
        for name in _javacores(folder) - before:
            text = (folder / name).read_bytes()
            if b"END OF DUMP" in text:
                return Taken(text, f"SIGQUIT: {name} in the process's working directory, which stays there")
    raise AttachError("no javacore came into the process's working directory: see -Xdump:java:file= for its place")


# --- Python


def _py_spy(target: Target, seconds: float, native: bool, variables: bool) -> Taken:
    tool = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if tool is None:
        raise InputError("py-spy is not installed", "pip install py-spy")
    options = ["--native"] * native + ["--locals"] * variables
    command = [tool, "dump", "--pid", str(target.pid), *options]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "NO_COLOR": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"py-spy did not answer in {seconds:.0f} s", f"look by hand: py-spy dump --nonblocking --pid {target.pid}"
        ) from error
    if done.returncode == 0 and done.stdout.strip():
        return Taken(done.stdout, " ".join(["py-spy", "dump", *options]))
    said = done.stderr.decode("utf-8", "replace").strip()
    if not target.alive():
        raise InputError(f"{target.end_words()} while its dump was taken", "threaddump ps")
    if re.search(r"ermission [Dd]enied|not permitted|EPERM|requires root", said):
        hint = _PTRACE if sys.platform == "linux" else _ROOT
        raise InputError(f"py-spy may not read process {target.pid}", hint.format(pid=target.pid))
    last = said.splitlines()[0][:300] if said else f"exit code {done.returncode}"
    hint = "without --native: its symbols could not be read" if native else "pip install -U py-spy, and try again"
    raise InputError(f"py-spy could not read process {target.pid}: {last}", hint)
