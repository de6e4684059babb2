"""The verbs of `supervisectl`, declared once.

The parser, ``--help``, the completion scripts, docs/supervisectl.md's reference and the tests come
from here.  A verb's *run* is ``module:function``, imported when the verb is called.
"""

from __future__ import annotations

from supervise.model.record import Record

PROGRAM = "supervisectl"


class Option(Record):
    """One option.  With a *metavar* it takes a value, which *kind* converts."""

    name: str  # long, without its dashes
    help: str
    metavar: str = ""
    short: str = ""  # a letter
    kind: str = "text"  # text | count | duration | moment | exit code
    choices: tuple[str, ...] = ()


class Verb(Record):
    """One verb."""

    name: str
    summary: str  # a sentence without its period
    run: str
    operands: str = ""  # as shown in the usage
    least: int = 0  # operands
    most: int | None = 0  # None: any number
    options: tuple[Option, ...] = ()
    notes: tuple[str, ...] = ()  # paragraphs
    examples: tuple[str, ...] = ()  # commands
    completes: tuple[str, ...] = ()  # words the first operand is chosen from
    names_services: bool = False  # the (other) operands are names of services


SOCKET = Option("socket", "the control socket: a path, or @name for an abstract one", "PATH")
HELP = Option("help", "show this", short="h")
GLOBAL = (SOCKET, HELP)

ALL = Option("all", "every service, in place of names", short="a")
NO_WAIT = Option("no-wait", "return at once, not when the result is known")
JSON = Option("json", "print JSON")
GRACE = Option(
    "timeout", "SIGKILL after this long, in place of stop_grace_period", "T", "t", "duration"
)
LIMIT = Option("timeout", "stop waiting after this long; exit 1", "T", "t", "duration")

_DURATIONS = "T is a number of seconds or 500ms, 10s, 1m30s, 2h."
_WAITS = (
    "It waits for the result: a service has started when it is ready or, if it has no `ready`, "
    "when it has run for 250 ms; a oneshot when it has completed."
)
_PATIENCE = (
    "Without a limit of yours it waits for the sum of the start_timeouts of the services and all "
    "they depend on and 10 s more, and as long as it takes where one of them is a oneshot."
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "status",
        "Show how services fare",
        "supervise.cli.status:status",
        "[SERVICE…]",
        most=None,
        options=(
            JSON,
            Option("watch", "show it again whenever something changes", short="w"),
        ),
        notes=(
            (
                "Exits with 3 when a service named on the command line is not running; a oneshot that "
                "has completed counts as running."
            ),
            "With --json: an array of objects, with --watch one array a line.",
        ),
        names_services=True,
    ),
    Verb(
        "start",
        "Start services, and what they depend on",
        "supervise.cli.operate:start",
        "SERVICE… | --all",
        most=None,
        options=(
            Option("all", "every service that starts by itself (autostart)", short="a"),
            LIMIT,
            NO_WAIT,
        ),
        notes=(_WAITS, _PATIENCE, _DURATIONS),
        names_services=True,
    ),
    Verb(
        "stop",
        "Stop services with all their processes",
        "supervise.cli.operate:stop",
        "SERVICE… | --all",
        most=None,
        options=(ALL, GRACE, NO_WAIT),
        notes=(_DURATIONS,),
        names_services=True,
    ),
    Verb(
        "restart",
        "Stop services where they run, then start them",
        "supervise.cli.operate:restart",
        "SERVICE… | --all",
        most=None,
        options=(
            Option("all", "every service that should be up", short="a"),
            GRACE,
            NO_WAIT,
        ),
        notes=(_WAITS, _PATIENCE, _DURATIONS),
        names_services=True,
    ),
    Verb(
        "reload",
        "Have services read their configuration again",
        "supervise.cli.operate:reload",
        "SERVICE… | --all",
        most=None,
        options=(Option("all", "every running service that can reload", short="a"),),
        notes=(
            (
                "Sends reload_signal, or runs reload_command and waits for it.  For supervise's own configuration: "
                "supervisectl apply."
            ),
        ),
        names_services=True,
    ),
    Verb(
        "signal",
        "Send a signal to the main processes of services",
        "supervise.cli.operate:signal",
        "SIGNAL SERVICE… | SIGNAL --all",
        least=1,
        most=None,
        options=(Option("all", "every running service", short="a"),),
        notes=("SIGNAL is a name or a number: SIGHUP, HUP, hup, 1, SIGRTMIN+3.",),
        examples=("supervisectl signal USR1 nginx",),
        completes=("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT", "WINCH"),
        names_services=True,
    ),
    Verb(
        "logs",
        "Show the last lines services wrote",
        "supervise.cli.logs:logs",
        "[SERVICE…]",
        most=None,
        options=(
            Option("follow", "go on with lines as they come", short="f"),
            Option("lines", "the last N lines; all that is kept otherwise", "N", "n", "count"),
            Option("since", "no older lines", "T", "", "moment"),
            Option(
                "format",
                "as on the console: prefix (default), json, logfmt, raw",
                "FORMAT",
                choices=("prefix", "json", "logfmt", "raw"),
            ),
            Option("timestamps", "begin each line with its time", short="t"),
        ),
        notes=(
            "supervise keeps the last 64 KiB of each service in memory; log files have the rest.",
            "T is an age (10m, 1h30m), @SECONDS since 1970, or a date and time as in ISO 8601.",
            "What a service wrote to its standard error comes out on the standard error.",
        ),
        examples=("supervisectl logs -f web worker", "supervisectl logs --since 10m -n 100 web"),
        names_services=True,
    ),
    Verb(
        "events",
        "Show what supervise says about itself",
        "supervise.cli.event_stream:events",
        options=(
            Option("follow", "go on with events as they come", short="f"),
            JSON,
        ),
        notes=("docs/events.md lists them.  With --json: one object a line.",),
    ),
    Verb(
        "wait",
        "Wait until services have come to a milestone",
        "supervise.cli.operate:wait",
        "SERVICE…",
        least=1,
        most=None,
        options=(
            Option(
                "for",
                "started, ready (default), healthy, completed or stopped",
                "MILESTONE",
                choices=("started", "ready", "healthy", "completed", "stopped"),
            ),
            LIMIT,
        ),
        notes=(
            (
                "Exits with 1 where a service cannot come to it any more, or not in time.  Without "
                "--timeout it waits for ever."
            ),
            _DURATIONS,
        ),
        examples=("supervisectl wait db --for ready --timeout 30s",),
        names_services=True,
    ),
    Verb(
        "explain",
        "Say why a service is not up",
        "supervise.cli.inspect:explain",
        "SERVICE",
        least=1,
        most=1,
        options=(JSON,),
        names_services=True,
    ),
    Verb(
        "apply",
        "Read the configuration again and change only what differs",
        "supervise.cli.inspect:apply",
        options=(Option("dry-run", "say what would change, change nothing"), JSON),
        notes=("A file with a problem changes nothing: exit 1, with every problem listed.",),
    ),
    Verb(
        "top",
        "Show cpu, memory, descriptors and threads of each service's processes",
        "supervise.cli.top:top",
        "[SERVICE…]",
        most=None,
        options=(
            Option("once", "one table, also on a terminal"),
            Option("interval", "time between two tables [2s]", "T", "i", "duration"),
            JSON,
        ),
        notes=(
            (
                "A service's row sums up its main process and all its descendants.  CPU is per cent "
                "of one processor."
            ),
        ),
        names_services=True,
    ),
    Verb(
        "graph",
        "Show who depends on whom",
        "supervise.cli.graph:graph",
        examples=("supervisectl graph --dot | dot -Tsvg > services.svg",),
        options=(
            Option("dot", "in Graphviz's language"),
            Option("mermaid", "in Mermaid's language"),
            JSON,
        ),
    ),
    Verb(
        "health",
        "Succeed when all that should be up is up and healthy",
        "supervise.cli.inspect:health",
        options=(JSON,),
        notes=("For HEALTHCHECK and exec probes: exit 0, or 1 with the reasons.",),
    ),
    Verb(
        "shutdown",
        "Stop everything and end the container",
        "supervise.cli.inspect:shutdown",
        options=(Option("exit-code", "of the container", "N", "", "exit code"),),
    ),
    Verb(
        "version",
        "Show the versions of supervisectl and of the supervise it talks to",
        "supervise.cli.inspect:version",
        options=(JSON,),
    ),
    Verb(
        "completion",
        "Print a completion script",
        "supervise.cli.completion:completion",
        "bash | zsh | fish",
        least=1,
        most=1,
        examples=(
            'eval "$(supervisectl completion bash)"',
            'supervisectl completion zsh > "${fpath[1]}/_supervisectl"',
            "supervisectl completion fish > ~/.config/fish/completions/supervisectl.fish",
        ),
        completes=("bash", "zsh", "fish"),
    ),
)

# Verbs people will try that this version refuses.
REFUSED = {
    "scale": "replicas are not supported by this version; declare a service for each",
    "reexec": "an upgrade in place is not supported by this version; restart the container",
}

BY_NAME = {verb.name: verb for verb in VERBS}
