"""`top`, `port`: the processes of a container and its published ports."""

from __future__ import annotations

import os
import sys
import time

from runtime.cli.containers import lookup
from runtime.language.commandline import Verb
from runtime.linux import cgroups, program
from runtime.model.errors import RuntimeFailure
from runtime.model.network import published_ports
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout

TOP = Verb(
    "top",
    "CONTAINER [PS OPTIONS]",
    "Show the processes of a container, with the pids they have on this machine",
    least=1,
    stops=True,
    about="PS OPTIONS, such as -o pid,comm, are given to this machine's ps(1).",
)
PORT = Verb(
    "port",
    "CONTAINER [PORT[/PROTOCOL]]",
    "Show where the ports of a container are published",
    least=1,
    most=2,
)
_TICKS = os.sysconf("SC_CLK_TCK")
_HEAD = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


def top(layout: Layout, words: Arguments) -> int:
    """Show processes: what `ps -ef` shows of them, or what ps shows with options."""
    spec, state = lookup.running(layout, words.operands[0])
    pids = set(cgroups.of(spec.id).processes()) or {state.pid}
    options = words.operands[1:]
    shown = _ps(spec, pids, options) if options else [_HEAD, *_rows(pids)]
    rows = [tuple(map(printable, row)) for row in shown]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("   ".join([*cells, row[-1]]).rstrip() + "\n")
    return 0


def _ps(spec: Spec, pids: set[int], options: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the rows that ps(1) gives for *pids*."""
    path = program.find("ps")
    if path is None:
        raise RuntimeFailure(
            f"cannot show the processes of '{spec.name}': ps is not installed",
            f"runtime top {spec.name}, without options, does not need it",
            code=1,
        )
    said = program.run([path, *options])
    if said.code:
        reason = said.error.decode(errors="replace").strip().partition("\n")[0]
        raise RuntimeFailure(f"ps {' '.join(options)}: {reason or f'exit {said.code}'}", code=1)
    head, *lines = said.out.decode(errors="replace").splitlines()
    names = head.split()
    column = next((n for n, name in enumerate(names) if name == "PID"), None)
    if column is None:
        raise RuntimeFailure("ps shows no PID column: it tells whose process is whose", code=1)
    rows = [tuple(line.split(None, len(names) - 1)) for line in lines]
    return [tuple(names), *(row for row in rows if int(row[column]) in pids)]


def _rows(pids: Iterable[int]) -> list[tuple[str, ...]]:
    now, up = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    found_rows = (_row(pid, now, up) for pid in sorted(pids))
    return [row for row in found_rows if row is not None]


def _row(pid: int, now: float, up: float) -> tuple[str, ...] | None:
    """Return what `ps -f` shows of a process, None when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    name = text[text.find("(") + 1 : text.rfind(")")]
    fields = text[text.rfind(")") + 2 :].split()
    used = (int(fields[11]) + int(fields[12])) / _TICKS
    age = max(up - int(fields[19]) / _TICKS, 0.01)
    began = time.localtime(now - age)
    shown = time.strftime("%H:%M" if age < 86400 else "%b%d", began)
    minutes, seconds = divmod(int(used), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        _user(uid),
        str(pid),
        fields[1],
        str(int(used * 100 / age)),
        shown,
        _terminal(int(fields[4])),
        f"{hours:02}:{minutes:02}:{seconds:02}",
        command or f"[{name}]",
    )


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _terminal(number: int) -> str:
    major, minor = os.major(number), os.minor(number)
    if number == 0:
        return "?"
    return f"pts/{minor + (major - 136) * 256}" if 136 <= major <= 143 else f"{major}:{minor}"


def port(layout: Layout, words: Arguments) -> int:
    """Show published ports, all or those of one."""
    spec, state = lookup.one(layout, words.operands[0])
    bound = [binding for endpoint in state.endpoints for binding in endpoint.ports]
    known = published_ports.by_container_port(bound)
    if len(words.operands) == 1:
        for key, bindings in known.items():
            for each in bindings or ():
                sys.stdout.write(f"{key} -> {_shown(each)}\n")
        return 0
    wanted = words.operands[1]
    key = wanted if "/" in wanted else f"{wanted}/tcp"
    if not known.get(key):
        raise RuntimeFailure(
            f"no public port '{key}' published for {spec.name}",
            f"published are {', '.join(known)}" if known else "none is published: -p was not given",
            code=1,
        )
    for each in known[key] or ():
        sys.stdout.write(f"{_shown(each)}\n")
    return 0


def _shown(binding: dict[str, str]) -> str:
    address = binding["HostIp"]
    return f"[{address}]:{binding['HostPort']}" if ":" in address else (
        f"{address}:{binding['HostPort']}"
    )  # fmt: skip
