"""HotSpot's dynamic attach protocol: asks a running JVM for a dump without any tool of a JDK.

The JVM listens on a UNIX socket ``.java_pidN`` in its ``/tmp``, N being its pid as it sees it itself. It opens the
socket when it finds a file ``.attach_pidN`` (in its working directory, else ``/tmp``) at a SIGQUIT
(``os/posix/attachListener_posix.cpp``, ``AttachListener::is_init_trigger``)::

    request  := "1" NUL command NUL argument NUL argument NUL argument NUL
    response := result LF text                           up to the end of the stream; result 0 is success

The socket and the file are reached through ``/proc/PID/root``, so the JVM may live in a container. It answers only to
its own user (newer ones also to root), so the effective user is changed for the moment of the connection.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_VERSION = "1"
_ARGUMENTS = 3
_SIGQUIT = 3
_SIGQUIT_CAUGHT = 1 << (_SIGQUIT - 1)
_BLOCK = 1 << 16
_STEP = 0.02
_RESULT_LIMIT = 20


class AttachError(Exception):
    """The JVM could not be asked: the message says why."""


@dataclass(slots=True, frozen=True)
class Status:
    """What ``/proc/PID/status`` tells of a process."""

    uid: int
    gid: int
    namespace_pid: int
    """Its pid in its own pid namespace."""
    catches_sigquit: bool
    """A SIGQUIT does not end it: HotSpot installs its handler early, and not at all with ``-Xrs``."""
    state: str
    """The letter of the process state: ``T`` is stopped."""


def status(pid: int) -> Status:
    """Read the status of a process. Raises AttachError where there is none."""
    try:
        text = (PROC / str(pid) / "status").read_text("utf-8", "replace")
    except OSError as error:
        raise AttachError(f"there is no process {pid}") from error
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    return Status(
        uid=int(fields["Uid"].split()[1]),
        gid=int(fields["Gid"].split()[1]),
        namespace_pid=int((fields.get("NSpid") or str(pid)).split()[-1]),
        catches_sigquit=bool(int(fields["SigCgt"], 16) & _SIGQUIT_CAUGHT),
        state=fields["State"].split()[0],
    )


def quit_signal(pid: int, is_it: Callable[[], bool]) -> None:
    """Send SIGQUIT to a process that handles it, and to no other which got its pid meanwhile: that might end.

    ``is_it`` tells whether the process with this pid is still the one that is meant; it is asked once the process is
    held. Raises AttachError where no signal was sent.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise AttachError(f"process {pid} has ended") from error
    except OSError:
        handle = None  # a kernel before 5.3, or a filter of system calls
    try:
        if not is_it():
            raise AttachError(f"process {pid} has ended")
        if not status(pid).catches_sigquit:
            raise AttachError("the process does not handle SIGQUIT (-Xrs, or it is only starting): it would end it")
        if handle is None:
            os.kill(pid, _SIGQUIT)
        else:
            signal.pidfd_send_signal(handle, _SIGQUIT)
    except ProcessLookupError as error:
        raise AttachError(f"process {pid} has ended") from error
    except PermissionError as error:
        raise AttachError(f"process {pid} belongs to another user") from error
    finally:
        if handle is not None:
            os.close(handle)


class Attached:
    """A JVM that listens. ``root`` is its file system as seen from here."""

    def __init__(self, pid: int, seconds: float, is_it: Callable[[], bool]) -> None:
        """Open the JVM's socket, asking for it where there is none yet. Raises AttachError after ``seconds``.

        ``is_it`` tells whether the process with this pid is still the one that is meant.
        """
        self.pid = pid
        self._is_it = is_it
        self._end = time.monotonic() + seconds
        self._status = status(pid)
        self.root = PROC / str(pid) / "root"
        self._name = f".java_pid{self._status.namespace_pid}"
        with self._in(self.root / "tmp") as folder:
            if not self._listens(folder):
                self._ask_to_listen(folder)

    def execute(self, command: str, *arguments: str) -> bytes:
        """The text that the JVM answers. Raises AttachError where it refuses or does not answer in time."""
        words = [_VERSION, command, *arguments, *[""] * (_ARGUMENTS - len(arguments))]
        request = b"".join(word.encode() + b"\0" for word in words)
        try:
            with self._in(self.root / "tmp") as folder, self._connected(folder, self._left()) as stream:
                stream.sendall(request)
                answer = self._read(stream)
        except TimeoutError as error:
            raise AttachError("the JVM took the request and does not answer: it may not reach a safepoint") from error
        except OSError as error:
            raise AttachError(f"the JVM's socket cannot be used: {error.strerror or error}") from error
        result, found, text = answer.partition(b"\n")
        if not found or not result.strip().removeprefix(b"-").isdigit():
            raise AttachError("the JVM closed the connection: it refuses users other than its own")
        if int(result) != 0:
            said = text.decode("utf-8", "replace").strip().splitlines()
            raise AttachError(f"the JVM refused {' '.join((command, *arguments))}: {said[0] if said else int(result)}")
        return text

    def _read(self, stream: socket.socket) -> bytes:
        parts: list[bytes] = []
        while True:
            stream.settimeout(self._left())
            part = stream.recv(_BLOCK)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @contextmanager
    def _in(self, folder: Path) -> Iterator[int]:
        """A handle on a folder of the JVM's file system: as its user we may not be allowed to look it up again."""
        try:
            handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise AttachError(f"{folder} cannot be opened: {error.strerror}") from error
        try:
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _connected(self, folder: int, seconds: float) -> Iterator[socket.socket]:
        """The JVM sees the effective user of the moment of the connection."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(seconds)
            with self._as_its_user():
                stream.connect(f"/proc/self/fd/{folder}/{self._name}")
            yield stream

    def _listens(self, folder: int) -> bool:
        """Whether a JVM listens: a socket that is left over from a dead process refuses connections."""
        try:
            with self._connected(folder, max(self._end - time.monotonic(), _STEP)):
                return True
        except OSError:
            return False

    def _ask_to_listen(self, folder: int) -> None:
        if self._status.state in {"T", "t"}:
            raise AttachError(f"process {self.pid} is stopped: kill -CONT {self.pid} lets it go on")
        with self._request_file(folder):
            quit_signal(self.pid, self._is_it)
            while not self._listens(folder):
                if time.monotonic() > self._end:
                    raise AttachError(
                        "the JVM does not open its socket: it may be too busy, or -XX:+DisableAttachMechanism is set"
                    )
                if status(self.pid).state == "Z":
                    raise AttachError(f"process {self.pid} has ended")
                time.sleep(_STEP)

    @contextmanager
    def _request_file(self, temporary: int) -> Iterator[None]:
        """The file that asks the JVM to listen, while it is needed. It has to belong to the JVM's user.

        The JVM looks in its working directory first; where nobody may write there, ``/tmp`` is its second place.
        """
        name = f".attach_pid{self._status.namespace_pid}"
        with ExitStack() as opened:
            try:
                folder = opened.enter_context(self._in(PROC / str(self.pid) / "cwd"))
                self._create(name, folder)
            except (AttachError, OSError):
                folder = temporary
                try:
                    self._create(name, folder)
                except OSError as failed:
                    message = f"neither the JVM's working directory nor its /tmp can be written to: {failed.strerror}"
                    raise AttachError(message) from failed
            try:
                yield
            finally:
                try:
                    with self._as_its_user():
                        os.unlink(name, dir_fd=folder)
                except OSError:
                    pass  # the JVM removes it as well, and its file system may be gone

    def _create(self, name: str, folder: int) -> None:
        with self._as_its_user():
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600, dir_fd=folder))

    def _as_its_user(self) -> AbstractContextManager[None]:
        return _as_user(self._status.uid, self._status.gid)


@contextmanager
def _as_user(uid: int, gid: int) -> Iterator[None]:
    """Be this user for a moment; where that is not allowed, stay who we are and let the JVM decide."""
    own_uid, own_gid = os.geteuid(), os.getegid()
    if own_uid != 0 or (uid, gid) == (own_uid, own_gid):
        yield
        return
    try:
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(own_uid)
        os.setegid(own_gid)
