"""The steps by which a thread got its verdict: the classifier's own, asked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from threaddump.catalog import Entry, glob_test
from threaddump.classify import NETWORK_PRIMITIVE, Classifier, Verdict, effective_state, near, ruled_out, weight
from threaddump.code import concluded
from threaddump.findings.facts import Facts
from threaddump.groups import group_threads
from threaddump.naming import is_c_code
from threaddump.waits import find_waits
from threaddump_parsers.model import Dump, Stack, Thread


@dataclass(frozen=True)
class Trace:
    """The steps by which one thread got its verdict."""

    facts: Facts
    index: int

    @property
    def dump(self) -> Dump:
        return self.facts.dump

    @property
    def classifier(self) -> Classifier:
        return self.facts.classifier

    @property
    def thread(self) -> Thread:
        return self.dump.threads[self.index]

    @property
    def verdict(self) -> Verdict:
        return self.facts.verdicts[self.index]

    @cached_property
    def state(self) -> str | None:
        """The state that the verdict goes by."""
        return effective_state(self.thread, self.thread in self.classifier.stateless(self.dump))

    @cached_property
    def stack(self) -> Stack:
        """The frames that were asked; an index of this trace is one into them."""
        return self.classifier.decisive(self.thread.stack)

    @cached_property
    def depths(self) -> list[int]:
        """Where in the thread's own stack each of them stands."""
        asked = set(map(id, self.stack))
        return [depth for depth, frame in enumerate(self.thread.stack) if id(frame) in asked]

    @cached_property
    def keys(self) -> list[str]:
        return [self.classifier.key(frame) for frame in self.stack]

    @cached_property
    def matched(self) -> list[tuple[Entry, ...]]:
        return [self.classifier.catalog.frames.find(key) for key in self.keys]

    @cached_property
    def zone(self) -> int:
        """How many frames stand above the application; of a BLOCKED thread only the top frame counts."""
        return 1 if self.blocked else self.classifier.zone(self.keys, self.matched)

    @property
    def blocked(self) -> bool:
        return self.state == "BLOCKED"

    @property
    def by_frames(self) -> bool:
        """Whether the frames were asked at all."""
        return bool(self.stack) and self.thread.carries is None

    @cached_property
    def hits(self) -> list[tuple[int, Entry]]:
        return self.classifier.candidates(self.keys, self.matched, self.zone, self.state)

    @cached_property
    def winner(self) -> tuple[int, Entry] | None:
        """The entry that won, and its frame; None where the state or the name decided."""
        if not self.by_frames or self.verdict.entry is None:
            return None
        if self.blocked:
            entry = self.verdict.entry
            return (0, entry) if entry in self.matched[0] else None
        return self.classifier.winner(self.hits, self.matched, self.state)

    @cached_property
    def blocking(self) -> int | None:
        """The blocking frame: of those of its name the winner's own, or the first primitive, or the first."""
        if self.verdict.blocking_frame is None:
            return None
        same = [i for i, f in enumerate(self.stack) if self.classifier.shown(f) == self.verdict.blocking_frame]
        preferred = [self.winner[0]] if self.winner else []
        preferred += [index for index, entry in self.hits if entry.role == "primitive"]
        return next((index for index in preferred if index in same), same[0] if same else None)

    @cached_property
    def caller(self) -> int | None:
        name = self.verdict.caller
        return next((i for i, f in enumerate(self.stack) if self.classifier.shown(f) == name), None)

    def owner_of_frame(self, index: int) -> str:
        """Whose a frame is."""
        key = self.keys[index]
        if is_c_code(key):
            return "source line" if key.startswith("call:") else "native"
        if self.classifier.is_platform(key):
            return "platform"
        if self.classifier.catalog.proxies.find(key):
            return "proxy"
        known = any(entry.library for entry in self.matched[index]) and not self.classifier.is_app(key)
        return "library" if known or self.classifier.is_library(key) else "application"

    def losers(self) -> Iterator[tuple[int, Entry, str]]:
        """Entries that match a frame and did not win: frame, entry, why."""
        hits = {id(entry) for _, entry in self.hits}
        won = self.winner[1] if self.winner else None
        seen = {id(won)}
        for index, entries in enumerate(self.matched):
            for entry in entries:
                if id(entry) in seen or entry.role in {"marker", "transparent"}:
                    continue
                if not self.blocked and id(entry) in hits and (index, entry) not in self.hits:
                    continue  # counted at another frame
                seen.add(id(entry))
                yield index, entry, self._why_lost(index, entry, id(entry) in hits)

    def _why_lost(self, index: int, entry: Entry, hit: bool) -> str:
        if self.blocked:
            if index or entry.kind != "lock-wait":
                return "the thread is BLOCKED: it waits to enter its top frame, and no frame below is the cause"
            return self._weaker(index, entry)
        if hit:
            return self._weaker(index, entry)
        if index > self.zone or (index == self.zone and entry.library is not None):
            return f"outside of the zone, which ends above frame {self.zone}"
        field = ruled_out(entry, index, near(entry, index, self.keys, self.zone), self.state)
        if field == "states":
            return f"needs the state {' or '.join(entry.states)}; it is {self.state}"
        if field == "max_depth":
            return f"only for the innermost {entry.max_depth} frames"
        if field == "requires":
            more = f", {len(entry.requires) - 3} more" if len(entry.requires) > 3 else ""
            return f"needs one of these frames, none is on the stack: {', '.join(entry.requires[:3])}{more}"
        if field == "forbids":
            culprit = next((i for i, key in enumerate(self.keys) if any(glob_test(g)(key) for g in entry.forbids)), 0)
            return f"ruled out by frame {culprit}, {self.keys[culprit]}"
        return "inside a call or file access above it: a connection is made or checked there, not waited for"

    def _weaker(self, index: int, entry: Entry) -> str:
        if self.winner is None:
            return "the state decides"
        own, best = weight(entry), weight(self.winner[1])
        cap = f" (a primitive counts {NETWORK_PRIMITIVE} at most)" if own != entry.priority else ""
        names = "; it names the blocking frame" if index == self.blocking and entry.role == "primitive" else ""
        if own == best:
            return f"as strong as the winner, but further out{names}"
        return f"lower priority: {own} against {best}{cap}{names}"


def trace(dump: Dump, index: int, classifier: Classifier | None = None, source_roots: tuple[str, ...] = ()) -> Trace:
    """Analyse the dump as ``analyze`` does, and keep what is known on one thread."""
    classifier = classifier or Classifier(dump.family)
    verdicts, locks, _ = concluded(dump, classifier, source_roots)
    groups, group_of = group_threads(dump, verdicts)
    waits = find_waits(dump, verdicts, groups, group_of, classifier, locks)
    return Trace(Facts(dump, verdicts, groups, group_of, waits, classifier), index)
