"""What to tell someone whose input holds no thread dump: what it is, and the next command to try."""

from __future__ import annotations

import re

from threaddump.prefixes import wrapped_in

CAPTURE = (
    "take a dump: jcmd PID Thread.print -l -e > dump.txt (JVM), py-spy dump --pid PID > dump.txt (Python); "
    "read are: HotSpot text (jstack, jcmd, kill -3), jcmd Thread.dump_to_file, ThreadInfo text, Spring Boot's "
    "/actuator/threaddump, javacores, JRockit's dumps, py-spy text and --json, faulthandler, "
    "pystack, profiling.sampling, sys._current_frames() recipes, uWSGI's tracebacker, asyncio ps and pstree, gevent's "
    "run info, gdb's py-bt and bt of Python, austin --where; goroutine dumps (debug=1, debug=2, SIGQUIT), dotnet-stack "
    "and clrstack -all, Ruby's sigdump; folded and speedscope profiles"
)

_MAGIC = (
    (b"\x1f\x8b", "a gzip file", "unpack it: gunzip -c FILE | threaddump analyze"),
    (b"BZh", "a bzip2 file", "unpack it: bunzip2 -c FILE | threaddump analyze"),
    (b"\xfd7zXZ", "an xz file", "unpack it: xz -dc FILE | threaddump analyze"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it: zstd -dc FILE | threaddump analyze"),
    (b"PK\x03\x04", "a zip archive", "unpack it: unzip -p FILE | threaddump analyze"),
    (
        b"\x7fELF",
        "an ELF file (a program or a core dump)",
        "for a core: jhsdb jstack --exe JAVA --core FILE (JVM), py-spy dump --core FILE or pystack core FILE (Python), "
        "dotnet-dump analyze FILE -c 'clrstack -all' (.NET), dlv core PROGRAM FILE (Go)",
    ),
    (
        b"MDMP",
        "a Windows minidump",
        "of a .NET process: dotnet-dump analyze FILE -c 'clrstack -all' -c exit",
    ),
    (b"JAVA PROFILE", "a heap dump (hprof)", "a heap dump has no waits: jcmd PID Thread.print -l -e > dump.txt"),
    (b"FLR\x00", "a JDK Flight Recorder file", "print its dumps: jfr print --events jdk.ThreadDump FILE"),
    (b"MOJ", "an austin MOJO file", "convert it: mojo2austin FILE FILE.austin"),
    (b"PERFILE2", "a recording of perf", "print it: perf script | stackcollapse-perf.pl > FILE"),
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
        rb"No such process|Failed to get process executable name|Could not read the contents of /proc"
        rb"|No such file or directory: '/proc/\d",
        "the tool found no such process",
        "find the pid: jps -l, or pgrep -af 'java|python'",
    ),
    (
        rb"Failed to find python version|Unsupported version of Python|Could not determine python version",
        "the tool could not read this process: it is not Python, or of a version that the tool does not know",
        "check the pid, and update the tool: pip install -U py-spy pystack",
    ),
    (
        rb"Error retrieving tasks: ",
        "python -m asyncio could not read this process: it is of another version of Python, or not to be found there",
        "run the very Python that the process runs (3.14 or later), on its machine or in its container: "
        "/proc/PID/exe -m asyncio ps PID; before 3.14: py-spy dump --pid PID",
    ),
    (
        rb"Undefined command: +\"py-bt",
        "gdb does not know py-bt: it did not load the interpreter's python-gdb.py",
        "install the interpreter's debug symbols (python3-dbg, debuginfo-install python3), or without any: "
        "py-spy dump --native --pid PID",
    ),
    (
        rb"Attach Listener.*DisableAttachMechanism|attach mechanism is disabled",
        "the JVM forbids attaching",
        "kill -3 PID",
    ),
)

# What is known by its text but holds nothing that could be read, and how to get something that can.
_HINTED = (
    (
        rb"No samples collected|^# austin: \d",
        "a recording of austin without a sample",
        "record for longer: austin -x 10 -o FILE -p PID; or take a dump: py-spy dump --pid PID",
    ),
    (
        rb'"(?:dumpEventTime|nodejsVersion|javascriptStack)"\s*:',
        "a diagnostic report of Node.js",
        "it has the stack of one thread: read its javascriptStack; Node prints no dump of all threads",
    ),
    (
        rb'"traceEvents"\s*:|^\[\s*\{\s*"(?:args|cat|name|ph|pid)"\s*:',
        "a trace of Chrome's format",
        "open it in https://ui.perfetto.dev; for threads take a dump of the process",
    ),
    (
        rb'^\{"nodes":\[\{"id":\d+,"callFrame"|"callFrame"\s*:\s*\{',
        "a CPU profile of V8 (Node.js, Chrome)",
        "open it in the DevTools; or convert it for speedscope and export it from there",
    ),
    (
        rb"^\S.*\s+\d+(?:/\d+)?\s+(?:\[\d+\]\s+)?\d+\.\d+:\s+(?:\d+\s+)?[\w:.-]+:[ug]?\s*\n\s+[0-9a-f]{6,16} ",
        "output of perf script",
        "fold it: perf script | stackcollapse-perf.pl > FILE",
    ),
    (
        rb"^\* thread #\d+, |^\* thread #\d+:",
        "a backtrace of lldb: native frames only",
        "of a Python process: py-spy dump --native --pid PID; of a JVM: jcmd PID Thread.print -l -e",
    ),
    (
        rb"^TID \d+:\n#0 |^Thread \d+ \((?:LWP|Thread 0x)[^\n]*\n#0 |^PID \d+ - \S+\nTID \d+",
        "a native backtrace (gdb, pstack, eu-stack): frames of C only",
        "of a Python process: py-spy dump --native --pid PID; of a JVM: jcmd PID Thread.print -l -e",
    ),
    (
        rb"^\[\d\d-\w{3}-\d{4} [\d:]{8}\]\s+\[pool [^\]\n]+\] pid \d+\n|^script_filename = ",
        "a slow log of PHP-FPM",
        "it has one stack for each slow request, taken at different times: it is no dump of one moment",
    ),
    (
        rb"^=erl_crash_dump:",
        "a crash dump of Erlang",
        "open it with the crashdump viewer: cdv FILE",
    ),
    (
        rb"^(?:.* )?Thread TID-\w+",
        "thread backtraces of Sidekiq",
        "load the gem sigdump into the process, and kill -CONT PID",
    ),
)

# Its lines begin with their kind, which is no prefix of a log.
_JAVACORE = rb"^0SECTION\s+TITLE|^[12]XM[A-Z]{4,20}\s"

# Formats that are known but not read.
_OTHERS = (
    (
        rb"^Attaching to process ID |Debugger attached successfully",
        "output of the serviceability agent (jhsdb, jstack -F)",
    ),
    (rb"^Thread \d+ \(Thread 0x[0-9a-f]+ \(LWP \d+\)", "a gdb backtrace of a process without Python"),
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
    for pattern, what, hint in _HINTED:
        if re.search(pattern, sample, re.MULTILINE):
            return f"this is {what}", hint
    for pattern, what in _OTHERS:
        if re.search(pattern, sample, re.MULTILINE):
            return f"this looks like {what}, which this version does not read", CAPTURE
    return "no thread dump in it, none of its lines begins one", CAPTURE
