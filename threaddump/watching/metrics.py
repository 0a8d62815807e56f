"""Metrics for Prometheus: an alert on them carries its evidence, for they are what the report says.

Labels are few and bounded: kinds, severities, finding ids, and the libraries of the catalog. Never thread names.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from threaddump.sources import InputError

if TYPE_CHECKING:
    from threaddump.watching.observe import Observation

_INTEGRATIONS = 30
"""At most so many integrations are exported; the rest is counted as ``other``."""


def address_of(text: str) -> tuple[str, int]:
    """``HOST:PORT`` of ``--listen``. Raises InputError without a host: all interfaces have to be asked for."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"--listen {text}: no HOST:PORT", "--listen 127.0.0.1:9477; all interfaces are 0.0.0.0:9477")
    return host, int(port)


class Metrics:
    """What is exported of the processes that are watched."""

    def __init__(self, host: str, port: int) -> None:
        """Listen. Raises InputError where prometheus-client is missing or the address cannot be used."""
        try:
            import prometheus_client as client
        except ImportError as error:
            raise InputError("--listen needs prometheus-client", "pip install 'threaddump[metrics]'") from error
        self.registry = client.CollectorRegistry()
        process = ("service", "pid")

        def gauge(name: str, text: str, *labels: str) -> Any:
            return client.Gauge(f"threaddump_{name}", text, (*process, *labels), registry=self.registry)

        self._threads = gauge("threads", "Threads by kind.", "kind")
        self._integrations = gauge(
            "integration_threads", "Threads in a call or a pool of a library.", "integration", "kind"
        )
        self._oldest = gauge("oldest_busy_request_seconds", "Age of the longest busy request thread.")
        self._busy = gauge("busy_threads", "Threads busy with the same for longer than --stuck-after.")
        self._findings = gauge("findings", "Findings of now.", "id", "severity")
        self._deadlocked = gauge("deadlocked_threads", "Threads in a deadlock.")
        self._took = gauge("dump_seconds", "How long the last dump took.")
        self._looks = client.Counter(
            "threaddump_looks", "Dumps that were taken.", (*process, "result"), registry=self.registry
        )
        try:
            self.server, _ = client.start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise InputError(
                f"--listen {host}:{port}: {error.strerror or error}", "choose another port, or an address of this host"
            ) from error

    @property
    def port(self) -> int:
        return int(self.server.server_port)

    def show(self, service: str, pid: int, observation: Observation) -> None:
        """Export what a look showed; what it no longer shows is gone."""
        from threaddump.reports.words import KINDS

        labels = (service, str(pid))
        report = observation.report
        for kind in KINDS:
            self._threads.labels(*labels, kind).set(report.by_kind.get(kind, 0))
        self._forget(labels, self._integrations, self._findings)
        for (integration, kind), count in _integrations(observation).items():
            self._integrations.labels(*labels, integration, kind).set(count)
        for (finding, severity), count in Counter((f.id, f.severity) for f in report.findings).items():
            self._findings.labels(*labels, finding, severity).set(count)
        self._oldest.labels(*labels).set(observation.oldest_request)
        self._busy.labels(*labels).set(len(observation.busy))
        self._deadlocked.labels(*labels).set(observation.measure("deadlocked"))
        self._took.labels(*labels).set(observation.took_s)
        self._looks.labels(*labels, "ok").inc()

    def failed(self, service: str, pid: int) -> None:
        """Count a dump that could not be taken."""
        self._looks.labels(service, str(pid), "failed").inc()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def _forget(labels: tuple[str, str], *gauges: Any) -> None:
        for gauge in gauges:
            for metric in gauge.collect():
                for sample in metric.samples:
                    if (sample.labels["service"], sample.labels["pid"]) == labels:
                        gauge.remove(*(sample.labels[name] for name in sample.labels))


def _integrations(observation: Observation) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for group in observation.report.groups:
        used = group.integration or group.pool
        if used is not None:
            counts[used.id, group.kind] += group.count
    shown = dict(counts.most_common(_INTEGRATIONS))
    for (_, kind), count in counts.most_common()[_INTEGRATIONS:]:
        shown["other", kind] = shown.get(("other", kind), 0) + count
    return shown
