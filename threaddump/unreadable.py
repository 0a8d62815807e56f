"""What to tell someone whose input holds no thread dump: what it is, and the next command to try."""

from __future__ import annotations

import re

from threaddump.prefixes import wrapped_in

CAPTURE = (
    "take a dump: jcmd PID Thread.print -l -e > dump.txt (JVM), py-spy dump --pid PID > dump.txt (Python); "
    "read are: HotSpot text (jstack, jcmd, kill -3), jcmd Thread.dump_to_file, ThreadInfo text, Spring Boot's "
    "/actuator/threaddump, javacores, JRockit's dumps, py-spy text and --json, faulthandler, "
    "pystack, profiling.sampling, sys._current_frames() recipes, uWSGI's tracebacker"
)

_MAGIC = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it: 7z x -so FILE | threaddump analyze"),
    (b"Rar!\x1a\x07", "a rar archive", "unpack it: unrar p -inul FILE | threaddump analyze"),
    (b"\x04\x22\x4d\x18", "an lz4 file", "unpack it: lz4 -dc FILE | threaddump analyze"),
    (b"\x1f\x9d", "a file of compress", "unpack it: gunzip -c FILE | threaddump analyze"),
    (b"\x7fELF", "an ELF file (a program or a core dump)", "for a core: jhsdb jstack --exe JAVA --core FILE (JVM)"),
    (b"JAVA PROFILE", "a heap dump (hprof)", "a heap dump has no waits: jcmd PID Thread.print -l -e > dump.txt"),
    (b"FLR\x00", "a JDK Flight Recorder file", "print its dumps: jfr print --events jdk.ThreadDump FILE"),
    (b"MOJ", "an austin MOJO file", "convert it: mojo2austin FILE FILE.austin"),
)

# Texts that tools print instead of a dump.
_MESSAGES = (
    (
        rb"Unable to open socket file|target process .*(?:doesn't|not) respon|HotSpot VM not loaded",
        "jstack or jcmd could not attach: the target did not answer",
        "run it as the target's user and in its container: sudo -u USER jcmd PID Thread.print -l; or kill -3 PID, the "
        "dump is then in the target's standard output",
    ),
    (
        rb"well-known file .* is not secure|Operation not permitted|Permission [Dd]enied|EPERM",
        "the tool was not allowed to read the target process",
        "run it as the target's user or root; in a container add the capability SYS_PTRACE: sudo py-spy dump --pid PID",
    ),
    (
        rb"No such process|Failed to get process executable name|Could not read the contents of /proc",
        "the tool found no such process",
        "find the pid: jps -l, or pgrep -af 'java|python'",
    ),
    (
        rb"Failed to find python version|Unsupported version of Python|Could not determine python version",
        "py-spy could not read this process: it is not Python, or of a version that this py-spy does not know",
        "check the pid, and update py-spy: pip install -U py-spy",
    ),
    (
        rb"Attach Listener.*DisableAttachMechanism|attach mechanism is disabled",
        "the JVM forbids attaching",
        "kill -3 PID",
    ),
)

# Formats that are known but not read.
_OTHERS = (
    (
        rb"^Attaching to process ID |Debugger attached successfully",
        "output of the serviceability agent (jhsdb, jstack -F)",
    ),
    (rb"^goroutine \d+ \[", "a goroutine dump"),
    (rb"^Thread \d+ \(Thread 0x[0-9a-f]+ \(LWP \d+\)", "a gdb backtrace"),
    (
        rb"^Traceback \(most recent call last\):|^  File \"[^\"\n]+\", line \d+, in ",
        "Python tracebacks (of exceptions, not of threads)",
    ),
)

# How to get the lines of a wrapped dump as they were written.
_PLAIN_FORMS = (
    ("kubectl", "without --prefix and --timestamps: kubectl logs POD -c CONTAINER | threaddump analyze"),
    ("container runtime", "kubectl logs POD -c CONTAINER | threaddump analyze, or: crictl logs CONTAINER"),
    ("docker compose", "docker compose logs --no-log-prefix SERVICE | threaddump analyze"),
    ("journald", "journalctl -o cat -u UNIT | threaddump analyze"),
    (
        "JSON",
        "its text alone: docker logs CONTAINER | threaddump analyze, or: jq -r .message FILE",
    ),
    ("", "save the dump alone, without what stands before its lines"),
)


def binary(sample: bytes) -> tuple[str, str] | None:
    """What kind of binary file this is and what to do with it; None for text."""
    for magic, what, hint in _MAGIC:
        if sample.startswith(magic):
            return what, hint
    head = sample[:8192]
    control = sum(head.count(bytes([code])) for code in (*range(7), *range(14, 27)))
    if head and control > len(head) * 0.05:
        return "a binary file", CAPTURE
    return None


def why_no_dump(sample: bytes) -> tuple[str, str]:
    """Why a text without a dump has none, from its beginning."""
    if not sample.strip():
        return "the input is empty", CAPTURE
    for pattern, message, hint in _MESSAGES:
        if re.search(pattern, sample):
            return message, hint
    wrapper = wrapped_in(sample)
    if wrapper is not None:
        hint = next((hint for start, hint in _PLAIN_FORMS if wrapper.startswith(start)), _PLAIN_FORMS[-1][1])
        return f"there is a thread dump in it, but it could not be read out of its wrapper: {wrapper}", hint
    for pattern, what in _OTHERS:
        if re.search(pattern, sample, re.MULTILINE):
            return f"this looks like {what}, which this version does not read", CAPTURE
    return "no thread dump in it, none of its lines begins one", CAPTURE
