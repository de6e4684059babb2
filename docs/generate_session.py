"""Records docs/session.svg: commands really run at a terminal, and what they really print.

    python docs/generate_session.py [SVG]

Needs root.  Everything happens in namespaces and a directory of its own and leaves nothing behind.
A test runs the commands that are in the picture again and compares what they print.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 92
CONFIGURATION = """\
services:
  migrate: {type: oneshot, command: [echo, schema is up to date]}
  web:
    command: [python3, -m, http.server, "8080"]
    depends_on: {migrate: {condition: service_completed_successfully}}
    ready: {tcp: "127.0.0.1:8080"}
  worker:
    command: [sleep, infinity]
    depends_on: {web: {condition: service_ready}}
"""
COMMANDS = (
    "cat supervise.yaml",
    "runtime run --detach --name demo -p 8080:8080 --services supervise.yaml host",
    "runtime ctl demo wait worker",
    "runtime ctl demo status",
    "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8080\").status)'",
    "runtime ctl demo signal KILL web; runtime ctl demo wait web; runtime ctl demo graph",
    "runtime stop demo; runtime logs --tail 6 demo 2>&1",
)
_NAMESPACES = ("--pid", "--fork", "--mount", "--mount-proc", "--net", "--kill-child")
_PREPARE = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
_SCRIPT = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from {module} import main
sys.exit(main())
"""
_PROGRAMS = {
    "supervise": "supervise.__main__",
    "supervisectl": "supervise.cli.supervisectl",
    "runtime": "runtime.cli.main",
}

FONT, LINE = 13, 18  # pixels
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff", "2": "#8b949e"}
STYLE = f"""\
text {{ font: {FONT}px ui-monospace, 'DejaVu Sans Mono', Menlo, monospace; white-space: pre; }}
@media (prefers-reduced-motion: no-preference) {{ text {{ animation: appear 0.2s backwards; }} }}
@keyframes appear {{ from {{ opacity: 0; }} }}"""
PROMPT, TEXT, GROUND = "#79c0ff", "#d6dde6", "#151b23"
PAUSE = 1.6  # seconds between one command and the next in the picture


class Span(NamedTuple):
    """Text of one colour."""

    text: str
    colour: str


def record() -> Iterator[tuple[str, list[list[Span]]]]:
    """Yield each command, and the lines it printed."""
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        (scratch / "bin").mkdir()
        for name, module in _PROGRAMS.items():
            path = scratch / "bin" / name
            path.write_text(_SCRIPT.format(python=sys.executable, root=str(ROOT), module=module))
            path.chmod(0o755)
        (scratch / "here").mkdir()
        (scratch / "here/supervise.yaml").write_text(CONFIGURATION)
        marks = "; ".join(f"printf '\\036'; {command}" for command in COMMANDS)
        clean = "runtime rm -f demo >/dev/null"
        printed = _at_a_terminal(f"{marks}; printf '\\036'; {clean}", scratch)
        _, *parts = printed.split("\036")
        for command, part in zip(COMMANDS, parts, strict=False):
            yield command, [spans(line) for line in part.splitlines()]


def _at_a_terminal(program: str, scratch: Path) -> str:
    """Run *program* by bash with a terminal for its output and return all of that."""
    person, device = os.openpty()
    environment = {
        "PATH": f"{scratch}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"{scratch}/here",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "COLUMNS": str(COLUMNS),
        "RUNTIME_ROOT": f"{scratch}/store",
    }
    shell = ("sh", "-c", _PREPARE, "sh", "bash", "--norc", "-c", program)
    process = subprocess.Popen(
        ["unshare", *_NAMESPACES, *shell],
        cwd=scratch / "here",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=device,
        stderr=device,
    )
    os.close(device)
    chunks = []
    try:
        while chunk := os.read(person, 65536):
            chunks.append(chunk)
    except OSError:  # EIO: nobody has the other end any more
        pass
    os.close(person)
    code = process.wait()
    printed = b"".join(chunks).decode().replace("\r\n", "\n")
    assert code == 0, printed
    return printed


def spans(line: str) -> list[Span]:
    """Return a line of the terminal in its colours; ``ESC [ N m`` is all that is used."""
    found: list[Span] = []
    colour = TEXT
    for part in re.split(r"(\x1b\[[0-9;]*m)", line.expandtabs()):
        if part.startswith("\x1b["):
            codes = part[2:-1].split(";")
            colour = next((COLOURS[code] for code in codes if code in COLOURS), TEXT)
        elif part:
            found.append(Span(part, colour))
    return found


def picture(session: Sequence[tuple[str, list[list[Span]]]]) -> str:
    """Return the session as SVG; its lines appear one command after the other."""
    rows: list[tuple[float, list[Span]]] = []
    for number, (command, lines) in enumerate(session):
        when = number * PAUSE
        rows.append((when, [Span("$ ", PROMPT), Span(command, "#ffffff")]))
        rows += [(when + 0.4, line) for line in lines]
    width = round(COLUMNS * FONT * 0.602) + 40
    height = 52 + len(rows) * LINE + 14
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    dots = "".join(
        f'<circle cx="{20 + 18 * place}" cy="18" r="6" fill="{fill}"/>'
        for place, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        '<title id="title">Three services in a container, run, looked at, killed, stopped</title>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect width="{width}" height="{height}" rx="10" fill="{GROUND}"/>{dots}',
    ]
    for number, (when, line) in enumerate(rows):
        words = "".join(f'<tspan fill="{s.colour}">{escape(s.text)}</tspan>' for s in line)
        place = f'x="20" y="{52 + number * LINE}" xml:space="preserve"'
        parts.append(f'<text {place} style="animation-delay: {when:g}s">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(words: Sequence[str]) -> None:
    """Record and write."""
    target = Path(words[0]) if words else ROOT / "docs/session.svg"
    target.write_text(picture(list(record())))


if __name__ == "__main__":
    main(sys.argv[1:])
