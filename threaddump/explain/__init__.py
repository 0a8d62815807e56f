"""``threaddump explain``: what a finding means, what a catalog entry matches, and why a thread got its kind.

Nothing is decided here: a thread is explained with the classifier's own steps, and the candidates that lost are asked
why.
"""

from threaddump.explain.find import AmbiguousError, find_thread
from threaddump.explain.findings import TEXTS, FindingText, finding_texts, id_answer, list_lines
from threaddump.explain.layout import write
from threaddump.explain.thread import thread_answer
from threaddump.explain.trace import Trace, trace

__all__ = [
    "TEXTS",
    "AmbiguousError",
    "FindingText",
    "Trace",
    "find_thread",
    "finding_texts",
    "id_answer",
    "list_lines",
    "thread_answer",
    "trace",
    "write",
]
