"""Every key of supervise.yaml, declared once.

The decoder's checks, the JSON Schema (`supervise schema`), docs/configuration.md and
`explain-config` are all made from these tables.  What a key defaults to is declared in
`supervise.model.service`; the words for readers here are compared with it in a test.
"""

from __future__ import annotations

from supervise.config.yaml.keys.forms import CommandForm, DependsOn, Environment, Restart
from supervise.config.yaml.keys.kinds import Bool, Choice, Duration, Maybe, Number, Signal, TextKind
from supervise.config.yaml.keys.limits import Capability, Cpus, IoNice, Ulimits, Umask, UserKind
from supervise.config.yaml.keys.probe_keys import HEALTHCHECK, READY
from supervise.config.yaml.keys.refused import IN_SERVICE, IN_TOP, Type
from supervise.config.yaml.keys.sections import (
    BACKOFF,
    CONTROL,
    ENV_FILE,
    LOG_DEFAULTS,
    LOGS,
    SHUTDOWN,
    START_LIMIT,
)
from supervise.config.yaml.keys.shapes import Fields, Key, ListOf, MapOf
from supervise.model.service import (
    ExitPolicy,
    KillMode,
    OnFailure,
    Stdin,
)

_NAMES = ListOf(TextKind("a name"), "a list of names")

# Headings of the reference page → keys, in the order of the page.
SERVICE_GROUPS: dict[str, tuple[Key, ...]] = {
    "What runs": (
        Key(
            "command",
            CommandForm(),
            "The program and its arguments.  A list is taken as it is; a string is split like a "
            'shell does, with no shell run; `{shell: "a | b"}` runs `/bin/sh -c`.',
            "[gunicorn, --bind, 0.0.0.0:8080, app:app]",
            "required",
        ),
        Key(
            "type",
            Type(),
            "A `service` should keep running; a `oneshot` should complete, and is not restarted "
            "unless `restart` says so.",
            "oneshot",
            "service",
        ),
        Key(
            "autostart",
            Bool(),
            "With false it starts when something depends on it or a person starts it.",
            "false",
            "true",
        ),
        Key(
            "profiles",
            ListOf(TextKind("a name"), "a list of names"),
            "The service exists only when `$SUPERVISE_PROFILES`, names separated by commas, has "
            "one of these; `*` has them all.",
            "[debug]",
            "none: always",
        ),
        Key(
            "stdin",
            Choice(Stdin),
            "The standard input: `/dev/null`, or the terminal of supervise itself.",
            "tty",
            "null",
        ),
    ),
    "As whom, where": (
        Key(
            "user",
            UserKind(),
            "A name, a uid, or `user:group`.  HOME, USER, LOGNAME and SHELL follow it.",
            "www-data",
            "as supervise was started",
        ),
        Key(
            "groups",
            _NAMES,
            "Supplementary groups, names or gids.",
            "[ssl-cert, 1001]",
            "those of `user`",
        ),
        Key(
            "working_dir",
            TextKind("a path"),
            "The directory it starts in; a relative one begins where supervise was started.",
            "/srv/app",
            "as supervise was started",
        ),
        Key("umask", Umask(), "File mode bits to withhold, octal.", '"0027"', "inherited"),
        Key(
            "environment",
            Environment(),
            "Variables, on top of those supervise has, the global `environment` and `env_file`.  "
            "A mapping or a list; a name without a value passes supervise's own value on.",
            '{PGPORT: "5432", LANG: C.UTF-8}',
            "{}",
        ),
        Key(
            "env_file",
            ListOf(ENV_FILE, "a path or a list of paths", single=True),
            "Files of `NAME=value` lines, later ones win.  Relative paths begin at this file.",
            "[db.env, {path: local.env, required: false}]",
            "[]",
        ),
        Key(
            "ulimits",
            Ulimits(),
            "Resource limits: one number for both, `unlimited`, or `{soft, hard}`.",
            "{nofile: 65536, core: 0, nproc: {soft: 512, hard: 1024}}",
            "inherited",
        ),
        Key(
            "nice",
            Number(-20, 19),
            "Scheduling priority; lower is served first.",
            "10",
            "inherited",
        ),
        Key(
            "ionice",
            IoNice(),
            "Input and output priority, `idle`, `best-effort[:0-7]` or `realtime[:0-7]`.",
            "best-effort:7",
            "inherited",
        ),
        Key(
            "oom_score_adj",
            Number(-1000, 1000),
            "Who is killed first when memory runs out; higher goes first.",
            "500",
            "inherited",
        ),
        Key(
            "cpus_allowed",
            Cpus(),
            "The processors it may run on.",
            "0-3,5",
            "inherited",
        ),
        Key(
            "cap_add",
            ListOf(Capability(), "a list of capabilities"),
            "Capabilities it gets as an ordinary user, with or without `CAP_`; `ALL`.",
            "[NET_BIND_SERVICE]",
            "[]",
        ),
        Key(
            "cap_drop",
            ListOf(Capability(), "a list of capabilities"),
            "Capabilities it loses; `ALL`.",
            "[ALL]",
            "[]",
        ),
        Key(
            "no_new_privileges",
            Bool(),
            "No program it executes can gain privileges: setuid bits mean nothing.",
            "true",
            "false",
        ),
    ),
    "When it is up": (
        Key(
            "ready",
            READY,
            "When it counts as ready, for `service_ready` and `supervisectl start`.  Exactly one "
            "of `notify`, `tcp`, `http`, `exec`.",
            "{tcp: 127.0.0.1:5432, interval: 200ms, timeout: 30s}",
            "when it has started",
        ),
        Key(
            "start_timeout",
            Duration(zero=False),
            "How long it may take from the start to being ready.",
            "2m",
            "1m30s",
        ),
        Key(
            "healthcheck",
            HEALTHCHECK,
            "Is it still well?  Keys, meaning and defaults are compose's.",
            "{test: [CMD, pg_isready], interval: 10s, on_unhealthy: restart}",
            "none",
        ),
    ),
    "Order": (
        Key(
            "depends_on",
            DependsOn(),
            "What must be up first: a list of services, or a mapping with a condition each: "
            "`service_started`, `service_ready`, `service_healthy` or "
            "`service_completed_successfully`.",
            "{db: {condition: service_healthy, restart: true}}",
            "{}",
        ),
    ),
    "Staying up": (
        Key(
            "restart",
            Restart(),
            "When it starts again after it ended: `no`, `always`, `on-failure`, `on-failure:N` (N "
            "times at most), `unless-stopped`.",
            "on-failure:5",
            "always; no for a oneshot",
        ),
        Key(
            "backoff",
            BACKOFF,
            "How long to wait before it starts again.",
            "{initial: 100ms, factor: 2, max: 30s, jitter: 0.1, reset_after: 10s}",
            "as in the example",
        ),
        Key(
            "start_limit",
            Maybe(START_LIMIT),
            "More than `burst` starts within `interval`, and the service has failed for good.",
            "{burst: 5, interval: 60s}",
            "none: it retries for ever",
        ),
        Key(
            "success_exit_codes",
            ListOf(Number(0, 255), "a list of exit codes", single=True),
            "Exit codes that are no failure.",
            "[0, 143]",
            "[0]",
        ),
        Key(
            "essential",
            Bool(),
            "When it ends for good, the container ends with its exit code.",
            "true",
            "false",
        ),
        Key(
            "on_failure",
            Choice(OnFailure),
            "What its failure for good does to the container: nothing, or a shutdown.",
            "shutdown",
            "none",
        ),
    ),
    "Going down": (
        Key("stop_signal", Signal(), "The signal that asks it to stop.", "SIGINT", "SIGTERM"),
        Key(
            "stop_grace_period",
            Duration(),
            "How long it may take to stop before it is killed.",
            "20s",
            "5s",
        ),
        Key(
            "stop_command",
            CommandForm(),
            "A command that asks it to stop, run before the signal.",
            "[nginx, -s, quit]",
            "none",
        ),
        Key(
            "kill_mode",
            Choice(KillMode),
            "Who gets the stop signal: the process and all its descendants (`group`), or the "
            "`process` alone.",
            "process",
            "group",
        ),
    ),
    "Reloading": (
        Key(
            "reload_signal",
            Signal(),
            "The signal that makes it read its configuration again.",
            "SIGHUP",
            "none",
        ),
        Key(
            "reload_command",
            CommandForm(),
            "The command that makes it read its configuration again.",
            "[nginx, -s, reload]",
            "none",
        ),
    ),
    "Logs": (
        Key(
            "logs",
            LOGS,
            "Where its output goes.  What is not said here is as the global `logs` say.",
            "{format: json, file: /var/log/web.log, max_size: 10m, keep: 5, compress: true}",
            "{format: prefix}",
        ),
    ),
}
SERVICE = Fields(
    "a mapping such as {command: [sleep, 10]}",
    [key for group in SERVICE_GROUPS.values() for key in group],
    refused=IN_SERVICE,
    required=("command",),
)

SERVICES = MapOf(SERVICE, "a mapping of names to services")
TOP = Fields(
    "a mapping with the key `services`",
    [
        Key(
            "services", SERVICES, "The services, by name.", "{web: {command: [gunicorn, app:app]}}"
        ),
        Key(
            "environment",
            Environment(),
            "Variables for every service.",
            "{TZ: UTC}",
            "{}",
        ),
        Key("logs", LOG_DEFAULTS, "What every service's `logs` default to.", "{format: json}"),
        Key("shutdown", SHUTDOWN, "How the container ends.", "{grace: 8s}"),
        Key(
            "exit",
            Choice(ExitPolicy),
            "When the container ends by itself: when an `essential` service ends for good or "
            "nothing is left to run; when `any` service ends for good; when `all` have; `never`.",
            "all",
            "essential",
        ),
        Key("control", CONTROL, "Who may use supervisectl, and where.", "{operators: [1000]}"),
        Key(
            "include",
            ListOf(TextKind("a path or a pattern"), "a list of paths", single=True),
            "Further files of this form, patterns allowed, relative to this one.  A service, or a "
            "top-level value, may be set in one file only.",
            "[conf.d/*.yaml]",
            "[]",
        ),
    ],
    refused=IN_TOP,
)
