"""One line of a Java stack, normalised so that equal calls of two runs or two JVMs are equal.

HotSpot's own printer (``vframe.cpp``, ``java_lang_Throwable::print_stack_element``) puts the module inside the
parentheses; ``StackTraceElement.toString`` puts it before the class::

    at java.lang.Thread.run(java.base@17.0.15/Thread.java:840)
    at java.base@17.0.15/java.lang.Thread.run(Thread.java:840)
    at app//com.shop.X.y(X.java:1)
    at com.shop.Cases$$Lambda$2/0x00007f4b80005928.run(Unknown Source)

What differs from run to run in the name of a generated class is cut: addresses and counters of lambdas, proxies,
reflective accessors and CGLIB or Byte Buddy subclasses.
"""

from __future__ import annotations

import re

from threaddump_parsers.model import Frame

_GENERATED = (
    (re.compile(r"\$\$Lambda(?:\$\d+)?(?:[/+](?:0x)?[0-9a-fA-F]+)?"), "$$Lambda"),
    (re.compile(r"([/+])(?:0x)?[0-9a-fA-F]{5,}+(?=\.)"), r"\1"),
    (re.compile(r"\$Proxy\d+"), "$Proxy"),
    (re.compile(r"(Generated(?:Serialization)?(?:Method|Constructor)Accessor)\d+"), r"\1"),
    (re.compile(r"(\$\$(?:EnhancerBy|FastClassBy|KeyFactoryBy|ProxyBy)\w*?CGLIB)\$\$[0-9a-f]+"), r"\1"),
    (re.compile(r"\$\$SpringCGLIB\$\$\d+"), "$$SpringCGLIB"),
    (re.compile(r"(\$ByteBuddy|\$HibernateProxy|\$MockitoMock)\$\w+"), r"\1"),
    (re.compile(r"(_\$\$_jvst|_\$\$_javassist_)\w+"), r"\1"),
)
_MAYBE_GENERATED = re.compile(r"\$\$|\$Proxy|Generated|LambdaForm|/0x|\$ByteBuddy|\$Hib|\$Mock")

_SOURCE_LINE = re.compile(r"[\w$-]+\.\w+:\d+")
"""Kotlin's names may hold blanks and parentheses: then the source has to look like one."""


def java_function(function: str) -> str:
    """``package.Class.method`` without loader, module and run-dependent parts of generated names."""
    if _MAYBE_GENERATED.search(function):
        for pattern, replacement in _GENERATED:
            function = pattern.sub(replacement, function)
        function = function.replace("/.", ".")
    return function.rpartition("/")[2]


def java_frame(text: str) -> Frame | None:
    """The frame in ``package.Class.method(source)``, or None where the text has no such form."""
    function, _, source = text.rpartition("(")
    function = function.strip()
    end = source.rfind(")")
    if end < 0 or "." not in function:
        return None
    source = source[:end].rpartition("/")[2]
    if (" " in function or "(" in function) and not _SOURCE_LINE.fullmatch(source):
        return None  # prose: "at the end of the queue (see docs)"
    if source == "Native Method":
        return Frame(java_function(function), native=True)
    if source == "Unknown Source":
        return Frame(java_function(function))
    file, colon, line = source.rpartition(":")
    if colon and line.isascii() and line.isdigit() and len(line) <= 9:
        return Frame(java_function(function), file, int(line))
    return Frame(java_function(function), source or None)


def is_c_function(frame: Frame) -> bool:
    """Whether a frame of a JVM is no method, not even a native one: those have a class."""
    return frame.native and "." not in frame.function
