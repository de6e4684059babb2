"""The interface ``org.supervise.Supervisor``, declared once.

The description that introspection answers, the check of every call's parameters, docs/api.md and
the tests come from here.  `supervise.daemon.control.methods` carries the methods out.
Growing: new methods, and new optional parameters and fields, keep old clients working.
"""

from __future__ import annotations

from supervise.model.hint import HintKind
from supervise.wire.interface import EnumType, Error, Field, Interface, Method, Struct

NAME = "org.supervise.Supervisor"
VENDOR = "supervise"
PRODUCT = "supervise"
URL = "https://varlink.org"

SERVICES = Field("services", "?[]string", "names; null: all")
CHOICE = (
    Field("services", "?[]string", "names; null only with `all`"),
    Field("all", "?bool", "every service, in place of names"),
)
WAITING = (
    Field("wait", "?bool", "reply when the result is known (default), or at once"),
    Field("timeout", "?float", "seconds to wait for the result; null: until it is known"),
)
GRACE = Field("grace", "?float", "seconds before SIGKILL; null: the service's stop_grace_period")
RESULTS = (Field("results", "[]Outcome", "one a service, in the order they became known"),)
REFUSAL = (
    Field("service", "string"),
    Field("reason", "string", "a sentence"),
    Field("hint", "string", "what to do, as supervisectl says it; may be empty"),
    Field("advice", "?Hint", "the same as a value; null: none"),
    Field("results", "[]Outcome", "what became of every service of the call"),
)

TYPES: tuple[Struct | EnumType, ...] = (
    Struct(
        "Service",
        "How a service fares.  Times are ages in seconds.",
        (
            Field("name", "string"),
            Field("type", "string", "service | oneshot"),
            Field(
                "state",
                "string",
                "stopped | waiting | starting | running | backoff | stopping | exited | failed",
            ),
            Field("desired", "string", "up | down"),
            Field("ready", "bool"),
            Field("health", "string", "healthy | unhealthy | starting; empty without a check"),
            Field("pid", "?int"),
            Field("uptime", "?float", "since the program was executed"),
            Field("restarts", "int", "starts after the first that nobody asked for"),
            Field("detail", "string", "one sentence: why it is not up, or what it says of itself"),
            Field("exit_code", "?int", "of the last process, null while one runs; 128+n for signal n"),
            Field("next_start", "?float", "seconds until the next try"),
            Field("essential", "bool", "its end for good ends the container"),
        ),
    ),
    EnumType("Trouble", "Why an operation has no success to report.", ("failed", "not_running", "timed_out")),
    Struct(
        "Hint",
        "What to do next, for programs that say it in words of their own.",
        (
            Field("kind", "string", f"such as {', '.join(kind.value for kind in HintKind)}"),
            Field("service", "string"),
        ),
    ),
    Struct(
        "Outcome",
        "What an operation did to one service.",
        (
            Field("service", "string"),
            Field("message", "string", "a sentence without a subject: started, pid 12"),
            Field("trouble", "?Trouble", "null: it succeeded"),
            Field("hint", "string", "what to do, as supervisectl says it; may be empty"),
            Field("advice", "?Hint", "the same as a value; null: none"),
        ),
    ),
    EnumType("Stream", "Where a line was written.", ("stdout", "stderr")),
    Struct(
        "LogEntry",
        "One line of a service's output.",
        (
            Field("time", "float", "seconds since 1970"),
            Field("service", "string"),
            Field("stream", "Stream"),
            Field("pid", "int", "of the service's main process"),
            Field(
                "message",
                "string",
                "without its newline; bytes that are not UTF-8 as U+FFFD",
                verbatim=True,
            ),
            Field(
                "raw", "?string", "the line in base64, only where it is not UTF-8", verbatim=True
            ),
            Field("partial", "?bool", "true: no newline followed"),
        ),
    ),
    Struct(
        "Event",
        "Something supervise says about itself; docs/events.md lists them.",
        (
            Field("time", "float", "seconds since 1970"),
            Field("name", "string", "such as service.started"),
            Field("severity", "string", "debug | info | warning | error"),
            Field("fields", "object", "as documented for the name"),
        ),
    ),
    EnumType(
        "Milestone",
        "What a caller can wait for.",
        ("started", "ready", "healthy", "completed", "stopped"),
    ),
    Struct(
        "Blocker",
        "A dependency that keeps a service from starting.",
        (
            Field("service", "string"),
            Field("condition", "string", "such as service_ready"),
            Field("state", "string"),
            Field("final", "bool", "it will not get there without help"),
        ),
    ),
    Struct(
        "Origin",
        "Where a service is declared.",
        (Field("file", "string", "absolute"), Field("line", "int", "counted from 1")),
    ),
    Struct(
        "Problem",
        "One thing that is wrong in a configuration file.",
        (
            Field("file", "string"),
            Field("line", "int", "counted from 1; 0 for the whole file"),
            Field("column", "int", "counted from 1"),
            Field("path", "string", "such as services.web.stop_signal"),
            Field("what", "string"),
            Field("hint", "string", "may be empty"),
        ),
    ),
    Struct(
        "ProcessGroup",
        "The processes of one service.",
        (
            Field("service", "string"),
            Field("pids", "[]int", "the main process first, then its descendants"),
        ),
    ),
    Struct(
        "Edge",
        "One dependency.",
        (
            Field("service", "string", "what is depended on"),
            Field("condition", "string", "such as service_healthy"),
            Field("required", "bool"),
            Field("restart", "bool"),
        ),
    ),
    Struct(
        "Node",
        "One service of the dependency graph.",
        (
            Field("name", "string"),
            Field("type", "string", "service | oneshot"),
            Field("state", "string"),
            Field("autostart", "bool"),
            Field("essential", "bool"),
            Field("start_timeout", "?float", "seconds it may take to be ready; null: no readiness"),
            Field("stop_grace_period", "float", "seconds until SIGKILL"),
            Field("depends_on", "[]Edge"),
        ),
    ),
    Struct(
        "Complaint",
        "Why a service is not as it should be.",
        (Field("service", "string"), Field("reason", "string")),
    ),
)  # fmt: skip

METHODS: tuple[Method, ...] = (
    Method(
        "Status",
        "How the services fare.  Streaming, it replies again whenever one of them changed, at "
        "most ten times a second.",
        (SERVICES,),
        (Field("services", "[]Service", "in the order asked for, else of the configuration"),),
        streams=True,
    ),
    Method(
        "Start",
        "Start services, and what they depend on.  A service has started when it is ready, or, "
        "without readiness, has run for 250 ms; a oneshot when it has completed.  Streaming, each "
        "result is sent when it is known, failures too; otherwise one reply comes when all are "
        "known, or the error of the first that failed.",
        (*CHOICE, *WAITING),
        RESULTS,
        streams=True,
        changes=True,
    ),
    Method(
        "Stop",
        "Stop services with all their processes.",
        (*CHOICE, *WAITING, GRACE),
        RESULTS,
        streams=True,
        changes=True,
    ),
    Method(
        "Restart",
        "Stop services where they run, then start them.",
        (*CHOICE, *WAITING, GRACE),
        RESULTS,
        streams=True,
        changes=True,
    ),
    Method(
        "Reload",
        "Have services read their own configuration again: reload_signal, or reload_command, "
        "whose end is waited for.",
        CHOICE,
        RESULTS,
        streams=True,
        changes=True,
    ),
    Method(
        "Signal",
        "Send a signal to the main processes of services.",
        (*CHOICE, Field("signal", "string", "SIGHUP, HUP, 1, SIGRTMIN+3")),
        RESULTS,
        streams=True,
        changes=True,
    ),
    Method(
        "Logs",
        "The last lines of services, oldest first, merged by time.  Streaming, in several "
        "replies, and with `follow` on and on.",
        (
            SERVICES,
            Field("lines", "?int", "the last so many of all together; null: all that is kept"),
            Field("since", "?float", "none older, seconds since 1970"),
            Field("follow", "?bool", "go on with lines to come; needs `more`"),
        ),
        (
            Field("entries", "[]LogEntry"),
            Field("dropped", "int", "lines left out here: the caller reads too slowly"),
        ),
        streams=True,
    ),
    Method(
        "Events",
        "What supervise says about itself: the recent past, and with `follow` what comes.",
        (
            Field("backlog", "?bool", "begin with the recent past (default)"),
            Field("follow", "?bool", "go on with events to come; needs `more`"),
        ),
        (
            Field("events", "[]Event"),
            Field("dropped", "int", "events left out here: the caller reads too slowly"),
        ),
        streams=True,
    ),
    Method(
        "Wait",
        "Wait until services have come to a milestone; fails early where they cannot come to it.",
        (
            Field("services", "[]string"),
            Field("until", "Milestone"),
            Field("timeout", "?float", "seconds; null: for ever"),
        ),
        RESULTS,
        streams=True,
    ),
    Method(
        "Explain",
        "Why a service is not up.",
        (Field("service", "string"),),
        (
            Field("service", "Service"),
            Field("blockers", "[]Blocker"),
            Field("sentences", "[]string", "in the order to be read"),
            Field("hints", "?[]Hint", "what the last sentence advises, if it does; else empty"),
            Field("origin", "?Origin", "null for what no file declares"),
        ),
    ),
    Method(
        "Apply",
        "Read the configuration again and change what differs; a file with a problem changes "
        "nothing.",
        (Field("dry_run", "?bool", "say what would change, change nothing"),),
        (
            Field("added", "[]string"),
            Field("removed", "[]string"),
            Field("changed", "[]string"),
            Field("unchanged", "[]string"),
            Field("dry_run", "bool"),
        ),
        changes=True,
    ),
    Method(
        "Processes",
        "The processes of services.",
        (SERVICES,),
        (Field("services", "[]ProcessGroup"),),
    ),
    Method("Graph", "Who depends on whom.", (), (Field("nodes", "[]Node"),)),
    Method(
        "Health",
        "Is everything that should be up, up and healthy?",
        (),
        (Field("healthy", "bool"), Field("complaints", "[]Complaint")),
    ),
    Method(
        "Shutdown",
        "Stop everything and end supervise, with it the container.  Replies before it begins.",
        (Field("exit_code", "?int", "0 to 255; null: what the exit policy says"),),
        changes=True,
    ),
    Method(
        "Version",
        "Which supervise this is.",
        (),
        (Field("version", "string"), Field("python", "string"), Field("pid", "int")),
    ),
)

ERRORS: tuple[Error, ...] = (
    Error(
        "NoSuchService",
        "No service has this name; nothing was done.",
        (
            Field("service", "string"),
            Field("known", "[]string", "the names there are, at most 100"),
            Field("suggestion", "?string", "the one that was probably meant"),
        ),
    ),
    Error("OperationFailed", "A service did not do what it was asked to.", REFUSAL),
    Error("NotRunning", "A service has no process.", REFUSAL),
    Error("TimedOut", "The result was not known in time; the operation goes on.", REFUSAL),
    Error(
        "NotPermitted",
        "The caller may not do this; supervise closes the connection of one who may do nothing.",
        (Field("need", "string", "who may"),),
    ),
    Error(
        "InvalidConfiguration",
        "The configuration has problems; nothing was changed.",
        (Field("problems", "[]Problem"),),
    ),
    Error("ShuttingDown", "supervise is stopping; nothing starts any more."),
    Error("Busy", "Not now; try again.", (Field("reason", "string"),)),
)

SUPERVISOR = Interface(
    NAME,
    "Control of a running supervise, PID 1 of a container.  The socket's mode and SO_PEERCRED "
    "decide who may call: root and supervise's own user everything, `control.operators` "
    "everything, `control.readers` what changes nothing.",
    types=TYPES,
    methods=METHODS,
    errors=ERRORS,
)

INTROSPECTION = Interface(
    "org.varlink.service",
    "What every Varlink service answers.",
    methods=(
        Method(
            "GetInfo",
            "Who is this?",
            (),
            (
                Field("vendor", "string"),
                Field("product", "string"),
                Field("version", "string"),
                Field("url", "string"),
                Field("interfaces", "[]string"),
            ),
        ),
        Method(
            "GetInterfaceDescription",
            "An interface in Varlink's definition language.",
            (Field("interface", "string"),),
            (Field("description", "string", verbatim=True),),
        ),
    ),
    errors=(
        Error("InterfaceNotFound", "There is no such interface.", (Field("interface", "string"),)),
        Error("MethodNotFound", "There is no such method.", (Field("method", "string"),)),
        Error(
            "MethodNotImplemented",
            "The method is described but not there.",
            (Field("method", "string"),),
        ),
        Error(
            "InvalidParameter",
            "A parameter is missing, unknown or of the wrong type.",
            (Field("parameter", "string"),),
        ),
        Error("ExpectedMore", "The method streams here: call it with `more`."),
    ),
)

INTERFACES = {interface.name: interface for interface in (INTROSPECTION, SUPERVISOR)}
