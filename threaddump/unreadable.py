"""What to tell someone whose input holds no thread dump: what it is, and the next command to try."""

from __future__ import annotations

import re

from threaddump.formats import how_to_take, how_to_take_any, parser_of
from threaddump.prefixes import wrapped_in

_MAGIC = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it: 7z x -so FILE | threaddump analyze"),
    (b"Rar!\x1a\x07", "a rar archive", "unpack it: unrar p -inul FILE | threaddump analyze"),
    (b"\x04\x22\x4d\x18", "an lz4 file", "unpack it: lz4 -dc FILE | threaddump analyze"),
    (b"\x1f\x9d", "a file of compress", "unpack it: gunzip -c FILE | threaddump analyze"),
    (b"\x7fELF", "an ELF file (a program or a core dump)", "for a core: jhsdb jstack --exe JAVA --core FILE (JVM)"),
    (
        b"MDMP",
        "a Windows minidump",
        "of a .NET process: dotnet-dump analyze FILE -c 'clrstack -all' -c exit",
    ),
    (b"PERFILE2", "a recording of perf", "print it: perf script | stackcollapse-perf.pl > FILE"),
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

# Its lines begin with their kind, which is no prefix of a log.
_JAVACORE = rb"^0SECTION\s+TITLE|^[12]XM[A-Z]{4,20}\s"

# What the words in a text belong to: its name, and a format whose command takes what is wanted instead, or the command.
# Parts of dumps: their headers are missing, or broken beyond recognition.
_PARTS = (
    (_JAVACORE, "a piece of an OpenJ9 or IBM javacore", "javacore"),
    (rb"^Attaching to process ID |Debugger attached successfully", "output of the serviceability agent", "hotspot-sa"),
    (rb"^=+ FULL THREAD DUMP =+", "a piece of a JRockit dump", "jrockit"),
    (rb"^goroutine profile: total \d", "a goroutine profile without states", "goroutine"),
    (rb"^goroutine \d+ (?:gp=|\[)", "a piece of a goroutine dump", "goroutine"),
    (rb"^[ \t]*java\.lang\.Thread\.State: [A-Z]", "states of Java threads without their headers", "hotspot"),
    (rb'^"[^"\n]*" .{0,200}\btid=', "a thread of a Java dump without its stack", "hotspot"),
    (
        rb"^[ \t]+at .{1,300}\n[ \t]*- (?:locked|waiting|parking) ",
        "stacks of Java threads without their headers",
        "hotspot",
    ),
    (rb"^JVMDUMP\d", "the messages of an OpenJ9 VM that wrote a javacore to a file", "javacore"),
)
# What is named exactly, with what to do instead.
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
        rb"^\S.{0,200}[ \t]\d{1,10}(?:/\d{1,10})?[ \t]{1,20}(?:\[\d{1,5}\][ \t]{1,20})?\d{1,12}\.\d{1,9}:[ \t]{1,20}"
        rb"(?:\d{1,12}[ \t]{1,20})?[\w:.-]{1,100}:[ug]?[ \t\r]{0,20}\n[ \t]{1,40}[0-9a-f]{6,16} ",
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
# Other things that people paste or save in the hour of need.
_OTHERS = (
    (rb"^# A fatal error has been detected by the Java Runtime", "a crash report of the JVM (hs_err)", "hotspot"),
    (
        rb"^(?:Caused by: |Exception in thread |[\w.$]+(?:Exception|Error)\b).*\n[ \t]+at ",
        "stack traces of Java exceptions, not of threads",
        "hotspot",
    ),
    (rb"^[ \t]+at [\w.$/@<>-]+\([^)\n]*\)[ \t\r]*$", "Java frames without threads", "hotspot"),
    (rb"^[ \t]*num[ \t]+#instances[ \t]+#bytes", "a histogram of the Java heap, without threads", "hotspot"),
    (rb"\[(?:info|debug)\s*\]\[gc|^\S*[ \t]*\[(?:Full )?GC \(|\[GC pause", "a log of the garbage collector", "hotspot"),
    (
        rb"^top - \d\d:\d\d|^[ \t]*PID USER +PR ",
        "output of top: it shows who uses CPU, not who waits",
        "jcmd PID Thread.print -l -e (JVM), py-spy dump --pid PID (Python)",
    ),
    (
        rb'"status"\s*:\s*(?:401|403|404|405|500)\b|<title>[^<]*(?:40[1345]|50\d|[Ll]og ?[Ii]n|[Ss]ign ?[Ii]n)',
        "the answer of a web server that did not give the dump",
        "log in, and check that the endpoint is exposed: management.endpoints.web.exposure.include=threaddump",
    ),
    (rb"^\d+:$|^The following commands are available:", "output of jcmd without a dump", "hotspot"),
    (rb"^Traceback \(most recent call last\):", "Python tracebacks (of exceptions, not of threads)", "py-spy"),
    (rb'^  File "[^"\n]+", line \d+,? in ', "Python frames without threads", "py-spy"),
    (rb"^[ \t]+\S+ \([\w./<>-]+\.pyx?:\d+\)[ \t\r]*$", "frames of py-spy without threads", "py-spy"),
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
        return "a binary file", how_to_take_any()
    return None


def why_no_dump(sample: bytes) -> tuple[str, str]:
    """Why a text without a dump has none, from its beginning."""
    if not sample.strip():
        return "the input is empty", how_to_take_any()
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
    for pattern, what, form in _PARTS:
        if re.search(pattern, sample, re.MULTILINE):
            if parser_of(form) is None:
                return f"this looks like {what}, which this version does not read", how_to_take_any()
            return f"this looks like {what}: no thread can be read from it", _take(form)
    for pattern, what, instead in _OTHERS:
        if re.search(pattern, sample, re.MULTILINE):
            return f"this looks like {what}", _take(instead)
    return "no thread dump in it, none of its lines begins one", how_to_take_any()


def _take(instead: str) -> str:
    """A format's command, or what was given if it is no format."""
    command = how_to_take(instead)
    return f"take a dump and save it whole: {command}" if command is not None else instead
