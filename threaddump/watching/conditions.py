"""The conditions of ``--when``, and for how long they have held.

::

    condition := comparison ("and" comparison)*
    comparison := measure operator number ["%"]
    measure := a kind of the report ("external-call", "pool-wait"...), or one of observe.MEASURES
    operator := ">=" | ">" | "<=" | "<" | "=="

A percentage is that of the threads that could work: all but those of the runtime itself.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from threaddump.reports.words import KINDS
from threaddump.sources import InputError
from threaddump.watching.observe import MEASURES, Observation

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_COMPARISON = re.compile(r"\s*([a-z][a-z-]*)\s*(>=|<=|==|>|<)\s*(\d{1,9}(?:\.\d{1,6})?)\s*(%?)\s*")
_AND = re.compile(r"\band\b")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure against a number."""

    measure: str
    operator: str
    number: float
    percent: bool

    def holds(self, observation: Observation) -> bool:
        value = observation.measure(self.measure)
        if self.percent:
            value = 100 * value / max(observation.able, 1)
        return _OPERATORS[self.operator](value, self.number)


@dataclass(frozen=True, slots=True)
class Condition:
    """All of its comparisons have to hold."""

    text: str
    comparisons: tuple[Comparison, ...]

    def holds(self, observation: Observation) -> bool:
        return all(comparison.holds(observation) for comparison in self.comparisons)


def condition(text: str) -> Condition:
    """Read a condition. Raises InputError that names the part which cannot be read, and what can stand there."""
    comparisons = []
    for part in _AND.split(text):
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise InputError(f"--when: {part.strip()!r} is no condition", "--when 'external-call >= 50%'")
        measure, sign, number, percent = match.groups()
        if measure not in KINDS and measure not in MEASURES:
            raise InputError(
                f"--when: {measure} is nothing that is measured", f"one of {', '.join((*KINDS, *MEASURES))}"
            )
        if percent and measure in {"cpu", "oldest"}:
            raise InputError(f"--when: {measure} is no number of threads, so without %", f"--when '{measure} >= 10'")
        comparisons.append(Comparison(measure, sign, float(number), bool(percent)))
    return Condition(text.strip(), tuple(comparisons))


class Trigger:
    """Tells the moment at which a condition has held for long enough; and again only after it has not held."""

    def __init__(self, condition: Condition, seconds: float) -> None:
        self.condition, self.seconds = condition, seconds
        self.since: float | None = None
        """When it began to hold; None while it does not."""
        self._fired = False

    def fires(self, observation: Observation) -> bool:
        if not self.condition.holds(observation):
            self.since, self._fired = None, False
            return False
        if self.since is None:
            self.since = observation.at
        if self._fired or observation.at - self.since < self.seconds:
            return False
        self._fired = True
        return True
