"""Which service a call goes to: by addresses, else as the command line says, else by the names in the code.

1. A peer that a dumped process listens on is that process: the kernel says so. A peer on a port that only one of the
   services listens on is that service, behind a load balancer or NAT. Peers of one call are instances of one service.
2. ``CALLER:CALLED`` of the command line, for a call that no address explains.
3. A client's class that names a service (``SchedulingGateway``), or what its request threads are made of. A method
   counts only where no class says anything (``BackendConnection.placeOrder``). A name that two services share, and a
   call to a database, a queue or a cache, is never joined by name.

What none of them explains stays unknown.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from threaddump.findings.facts import short
from threaddump.report import CallBasis, DumpReport, Evidence, Group, TierCall, WaitNode
from threaddump.tiers.outlines import Network, Outline

SERVICES = frozenset({
    "http", "http2", "grpc", "soap", "rmi", "tcp", "tls", "thrift", "dubbo", "ejb", "corba", "hessian", "t3",
    "websocket",
})  # fmt: skip
"""Systems of calls that may go to a service of one's own; what else is called is a database, a queue, a cache."""
GENERAL = frozenset({
    "abstract", "access", "adapter", "after", "agent", "answer", "api", "app", "application", "apply", "around",
    "async", "await", "back", "backend", "base", "bean", "before", "call", "caller", "calls", "client", "clients",
    "com", "common", "config", "conn", "connect", "connection", "connections", "connector", "context", "control",
    "controller", "core", "create", "dao", "default", "delegate", "dispatch", "do", "domain", "edge", "end", "endpoint",
    "exchange", "execute", "executor", "facade", "factory", "fetch", "filter", "find", "front", "frontend", "gateway",
    "get", "grpc", "handle", "handler", "handlers", "helper", "http", "https", "impl", "integration", "interceptor",
    "internal", "invoke", "io", "java", "job", "json", "lambda", "lib", "load", "local", "main", "make", "manager",
    "message", "method", "micro", "model", "module", "net", "network", "node", "open", "org", "outbound", "own",
    "perform", "pool", "post", "process", "processor", "provider", "proxy", "put", "query", "queue", "read",
    "receive", "remote", "repository", "request", "requests", "resource", "response", "rest", "retry", "rpc", "run",
    "runner", "send", "server", "service", "services", "servlet", "session", "shared", "soap", "socket", "source",
    "stub", "submit", "support", "sync", "system", "target", "task", "template", "test", "tier", "transport", "unit",
    "update", "upstream", "url", "util", "utils", "web", "worker", "write", "ws",
})  # fmt: skip
"""Words that name no service."""
_LEAST = 3
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_MOST_PEERS = 1000


@dataclass(slots=True)
class Instance:
    """A dump as an instance of its tier."""

    service: str
    report: DumpReport
    outline: Outline


@dataclass(slots=True)
class _Joined:
    """The calls of one place to one service."""

    service: str | None
    group: Group
    dump: DumpReport
    threads: int
    behind: int
    pool_waits: int
    addresses: dict[str, int]
    missing: list[str]
    basis: CallBasis
    reason: str


@dataclass(slots=True)
class Calls:
    """The calls of all tiers, and what the command line says in vain."""

    of: dict[str, list[TierCall]] = field(default_factory=dict)
    unused: list[tuple[str, str]] = field(default_factory=list)


def find_calls(instances: Sequence[Instance], given: Sequence[tuple[str, str]]) -> Calls:
    """The calls between tiers, and out of them."""
    book = _AddressBook(instances)
    names = _Names(instances, [called for _, called in given])
    here = {instance.service for instance in instances}
    found = Calls()
    used: set[tuple[str, str]] = set()
    for service in sorted(here):
        own = [instance for instance in instances if instance.service == service]
        joined = [each for instance in own for each in _by_address(instance, book)]
        _spread(joined)
        open_ = [each for each in joined if each.service is None]
        _as_given(service, open_, [called for caller, called in given if caller == service], names)
        for each in open_:
            if each.service is None and _to_a_service(each.group):
                match = names.match(service, own, each.group.caller)
                if match is not None:
                    each.service, each.reason = match
                    each.basis = "inferred"
        used.update((service, each.service) for each in joined if each.service is not None)
        found.of[service] = _merged(joined, here)
    found.unused = [pair for pair in given if pair not in used and pair[0] in here]
    return found


# --- addresses


@lru_cache(maxsize=4096)
def _address(text: str) -> tuple[str, int] | None:
    """Host and port; an IPv4 address that is written as an IPv6 one is the same."""
    from ipaddress import ip_address

    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return None
    try:
        found = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found), int(port[:6])


class _AddressBook:
    """Who listens where."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._exact: dict[tuple[str, int], list[Instance]] = defaultdict(list)
        self._ports: dict[int, set[str]] = defaultdict(set)
        for instance in instances:
            network = instance.outline.network
            for text in network.listening if network is not None else ():
                address = _address(text)
                if address is None:
                    continue
                host, port = address
                everywhere = host in {"0.0.0.0", "::"}
                hosts = [*_own(network), "127.0.0.1", "::1"] if everywhere else [host]
                for each in hosts:
                    self._exact[each, port].append(instance)
                self._ports[port].add(instance.service)

    def find(self, caller: Instance, text: str) -> tuple[str, CallBasis, str] | None:
        """The service behind a peer's address, how that is known, and why."""
        address = _address(text)
        if address is None:
            return None
        host, port = address
        there = self._exact.get(address, [])
        if _is_loopback(host):
            there = [each for each in there if _same_machine(caller, each)]
        services = {each.service for each in there}
        if len(services) == 1:
            dump = min((each.report for each in there), key=lambda report: (report.source, report.line))
            return services.pop(), "reported", f"it listens on {text} ({dump.id})"
        ports = self._ports.get(port, set()) - {caller.service}
        if not services and len(ports) == 1 and not _is_loopback(host):
            (service,) = ports
            return (
                service,
                "inferred",
                f"of the services here only {service} listens on port {port}; {text} is no address of its dumps: a "
                "load balancer or NAT is in between, or an instance of which no dump is here",
            )
        return None


def _own(network: Network | None) -> list[str]:
    addresses = (
        _address(f"[{text}]:0" if ":" in text else f"{text}:0") for text in (network.addresses if network else ())
    )
    return [address[0] for address in addresses if address is not None]


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def _same_machine(one: Instance, other: Instance) -> bool:
    """Loopback is one network for processes of one host that have the same addresses; containers have their own."""
    first, second = one.outline.network, other.outline.network
    return first is not None and second is not None and (first.host, first.addresses) == (second.host, second.addresses)


def _by_address(instance: Instance, book: _AddressBook) -> Iterable[_Joined]:
    """The groups in external calls, apart by the service that their peers are."""
    behind: Counter[str] = Counter()
    pools: Counter[str] = Counter()
    for chain in instance.report.chains:
        behind[chain.root.group] += chain.waiting
        pools[chain.root.group] += sum(node.count for node in nodes_of(chain.tree) if node.kind == "pool-wait")
    for group in instance.report.groups:
        if group.kind != "external-call":
            continue
        parts: dict[str | None, _Joined] = {}
        for endpoint in group.endpoints[:_MOST_PEERS]:
            match = book.find(instance, endpoint.address)
            service = match[0] if match is not None else None
            basis: CallBasis = match[1] if match is not None else "inferred"
            reason = match[2] if match is not None else ""
            part = parts.setdefault(service, _Joined(service, group, instance.report, 0, 0, 0, {}, [], basis, reason))
            part.addresses[endpoint.address] = endpoint.threads
            part.threads += endpoint.threads
            if basis == "reported" and part.basis != "reported":
                part.missing += [address for address in part.addresses if address != endpoint.address]
                part.basis, part.reason = basis, reason
            elif basis == "inferred" and service is not None and part.basis == "reported":
                part.missing.append(endpoint.address)
        if not parts:
            parts[None] = _Joined(None, group, instance.report, 0, 0, 0, {}, [], "inferred", "")
        main = max(parts.values(), key=lambda part: (part.threads, part.service or ""))
        main.threads += group.count - sum(part.threads for part in parts.values())
        main.behind, main.pool_waits = behind[group.id], min(pools[group.id], behind[group.id])
        yield from parts.values()


def nodes_of(tree: Sequence[WaitNode]) -> list[WaitNode]:
    """All nodes of a tree."""
    nodes = list(tree)
    for node in nodes:  # grows while we walk it
        nodes += node.children
    return nodes


def _spread(joined: Sequence[_Joined]) -> None:
    """Peers of the same call are of the same service: also those of which no dump is here."""
    known: dict[tuple[str | None, str | None], set[tuple[str, str]]] = defaultdict(set)
    for each in joined:
        if each.service is not None and each.basis == "reported":
            known[_place(each)].add((each.service, each.reason))
    for each in joined:
        services = {service for service, _ in known.get(_place(each), ())}
        if each.service is None and len(services) == 1 and each.group.caller is not None and _to_a_service(each.group):
            (each.service,) = services
            each.basis = "inferred"
            each.missing = list(each.addresses)
            each.reason = f"the same call as to other instances of {each.service}, of this one no dump is here"


def _place(each: _Joined) -> tuple[str | None, str | None]:
    return (each.group.caller, each.group.integration.id if each.group.integration else None)


def _to_a_service(group: Group) -> bool:
    return group.integration is None or group.integration.system is None or group.integration.system in SERVICES


# --- the command line


def _as_given(service: str, calls: Sequence[_Joined], called: Sequence[str], names: _Names) -> None:
    """Give the calls that the command line names their service; of several the one that its code names."""
    left = []
    for name in called:
        named = [c for c in calls if c.service is None and _to_a_service(c.group) and names.says(c.group.caller, name)]
        for call in named:
            call.service, call.basis, call.reason = name, "given", f"--calls {service}:{name}"
        if not named:
            left.append(name)
    places: Counter[tuple[str | None, str | None]] = Counter()
    for call in calls:
        if call.service is None and _to_a_service(call.group):
            places[_place(call)] += call.threads + call.behind
    if len(left) != 1 or not places:
        return
    place = max(places, key=lambda key: (places[key], str(key)))
    for call in calls:
        if call.service is None and _place(call) == place:
            call.service, call.basis, call.reason = left[0], "given", f"--calls {service}:{left[0]}"


# --- names


def words_of(text: str) -> list[str]:
    """``scheduling``, ``gateway`` of ``SchedulingGateway``; a plural is its singular."""
    found = (word.lower() for word in _WORD.findall(text[:200]))
    return [word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word for word in found]


def _telling(words: Iterable[str]) -> set[str]:
    return {word for word in words if len(word) >= _LEAST and word not in GENERAL and f"{word}s" not in GENERAL}


class _Names:
    """The words that tell each service from the others."""

    def __init__(self, instances: Sequence[Instance], declared: Iterable[str]) -> None:
        self._of_name: dict[str, set[str]] = {}
        self._of_code: dict[str, set[str]] = defaultdict(set)
        for instance in instances:
            code = {word for name in instance.outline.packages for word in words_of(name)}
            for frame in instance.outline.entries:
                code.update(words_of(_class(frame)))
            self._of_code[instance.service] |= _telling(code)
        for service in {*self._of_code, *declared}:
            # Also a short name counts, as long as it is the whole name.
            self._of_name[service] = _telling(words_of(service)) | {"".join(words_of(service))} - GENERAL
        shared = Counter(word for service in self._of_name for word in self._all(service))
        self._telling = {
            service: {word for word in self._all(service) if shared[word] == 1 or word in self._of_name[service]}
            for service in self._of_name
        }

    def _all(self, service: str) -> set[str]:
        return self._of_name[service] | self._of_code.get(service, set())

    def says(self, frame: str | None, service: str) -> bool:
        """Whether the class or module of a frame names the service."""
        return frame is not None and not self._telling[service].isdisjoint(words_of(_class(frame)))

    def match(self, caller: str, own: Sequence[Instance], frame: str | None) -> tuple[str, str] | None:
        """The one service that a call's code names, and why."""
        if frame is None:
            return None
        mine = " ".join([*words_of(caller), *self._all(caller)])
        frames = next((i.outline.callers[frame] for i in own if frame in i.outline.callers), (frame,))
        for depth, each in enumerate(frames or (frame,)):
            # Further out a class tells what is served there, a method what is done.
            class_words = {word for word in _telling(words_of(_class(each))) if word not in mine}
            if class_words and depth == 0:
                return self._unique(caller, class_words, f"the client is named after it: {short(each)}")
            method_words = _telling(words_of(_method(each)))
            found = self._unique(caller, method_words, f"named after what it serves: {short(each)}")
            if found is not None:
                return found
        return None

    def _unique(self, caller: str, words: set[str], reason: str) -> tuple[str, str] | None:
        found = [name for name, telling in self._telling.items() if name != caller and not telling.isdisjoint(words)]
        return (found[0], reason) if len(found) == 1 else None


def _class(frame: str) -> str:
    """``SchedulingGateway`` of ``com.shop.orders.SchedulingGateway.slotFor``; of Python the file with it."""
    path, colon, function = frame.rpartition(":")
    if colon and path:
        file = path.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
        return f"{file} {function.rpartition('.')[0]}"
    return frame.rpartition(".")[0].rpartition(".")[2]


def _method(frame: str) -> str:
    return frame.rpartition(":")[2].rpartition(".")[2]


# --- all calls of a tier


def _merged(joined: Sequence[_Joined], here: set[str]) -> list[TierCall]:
    """The calls by the service they go to, the one that most threads wait for first."""
    by_target: dict[tuple[str | None, ...], list[_Joined]] = defaultdict(list)
    for each in joined:
        by_target[(each.service,) if each.service is not None else (None, *_place(each))].append(each)
    found = [_call(parts, here) for parts in by_target.values()]
    return sorted(found, key=lambda call: (-call.weight, call.service or "", call.caller or "", call.address or ""))


def _call(parts: list[_Joined], here: set[str]) -> TierCall:
    parts.sort(key=lambda part: (-part.threads, part.dump.source, part.dump.line, part.group.id))
    first = parts[0]
    service = first.service
    addresses: Counter[str] = Counter()
    for part in parts:
        addresses.update(part.addresses)
    missing = {address for part in parts for address in part.missing}
    best = min(parts, key=lambda part: ("reported", "given", "inferred").index(part.basis))
    timed = {part.group.timed for part in parts}
    waits = [
        e.waiting_ms for part in parts for e in part.group.endpoints if e.waiting_ms and e.address in part.addresses
    ]
    return TierCall(
        service,
        service in here,
        first.group.caller,
        first.group.integration,
        timed.pop() if len(timed) == 1 else None,
        sum(part.threads for part in parts),
        sum(part.behind for part in parts),
        sum(part.pool_waits for part in parts),
        dict(sorted(addresses.items(), key=lambda item: (-item[1], item[0]))),
        sorted(missing),
        (min(w[0] for w in waits), sorted(w[1] for w in waits)[len(waits) // 2], max(w[2] for w in waits))
        if waits
        else None,
        best.basis,
        best.reason,
        _example(first),
    )


def _example(part: _Joined) -> Evidence | None:
    group = part.group
    if not group.threads or not group.lines:
        return None
    return Evidence(group.threads[0], group.lines[0], group.caller or group.blocking_frame or "", dump=part.dump.id)


def by_service(instances: Sequence[Instance]) -> Mapping[str, list[Instance]]:
    """The instances of each service, in an order that does not depend on that of the inputs."""
    found: dict[str, list[Instance]] = defaultdict(list)
    for instance in sorted(instances, key=lambda each: (each.service, each.report.source, each.report.line)):
        found[instance.service].append(instance)
    return dict(sorted(found.items()))
