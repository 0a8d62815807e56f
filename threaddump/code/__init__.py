"""What Python source code says about the threads that stand in it.

A thread in a C function shows only the Python line that called it, and a suspended task of asyncio that prints itself
only that of its outermost coroutine. The text of that line tells which function it is: some formats print it, and with
the application's source at hand (``--source-root``) any format does. Nothing is executed: the text is parsed with
``ast``, and every answer is an inference that says so.

``statements`` finds the calls of a line, ``modules`` what names in a file mean and which locks are taken where,
``awaits`` what a coroutine waits for in a line, ``files`` the file of a frame, and ``infer`` puts it to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from threaddump.classify import Classifier, Verdict
from threaddump_parsers.model import Dump

if TYPE_CHECKING:
    from threaddump.code.infer import Inference
    from threaddump.code.locks import SourceLocks


def concluded(
    dump: Dump, classifier: Classifier, source_roots: tuple[str, ...] = ()
) -> tuple[Sequence[Verdict], SourceLocks | None, list[str]]:
    """The verdicts on a dump's threads, what the source says about locks, and why sources were not used.

    The verdicts are the classifier's, completed with what the source lines below C functions say. That is also put into
    the dump: a frame on top of such a thread's stack, and the lock that the thread wants.
    """
    verdicts = classifier.verdicts(dump)
    if dump.family != "python" or not (source_roots or _prints_source(dump)):
        return verdicts, None, []
    inference = _inference(source_roots)
    return *inference.complete(dump, verdicts, classifier), inference.complaints(dump)


def _prints_source(dump: Dump) -> bool:
    return any(frame.source is not None for thread in dump.threads for frame in thread.stack)


@lru_cache(maxsize=8)
def _inference(source_roots: tuple[str, ...]) -> Inference:
    from threaddump.code.infer import Inference

    return Inference(source_roots)
