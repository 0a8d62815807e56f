"""Names of remote addresses. DNS may be what is broken, so it is asked only on request, and has a deadline."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterable

_WORKERS = 8


def names(addresses: Iterable[str], seconds: float) -> dict[str, str]:
    """Address without port to name, for those that were answered in time."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    found: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    hosts = {address.rpartition(":")[0].strip("[]") for address in addresses}
    for host in hosts:
        waiting.put(host)

    def ask() -> None:
        while True:
            try:
                host = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                found.put((host, socket.gethostbyaddr(host)[0]))
            except OSError:
                found.put((host, None))

    for _ in range(min(_WORKERS, len(hosts))):
        # Daemons: a resolver that hangs must not keep us.
        threading.Thread(target=ask, name="resolver", daemon=True).start()
    end = time.monotonic() + seconds
    answers: dict[str, str] = {}
    for _ in hosts:
        try:
            host, name = found.get(timeout=max(end - time.monotonic(), 0))
        except queue.Empty:
            break
        if name is not None:
            answers[host] = name
    return answers
