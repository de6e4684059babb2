"""The examples of a page: its files are written, its commands run, what they print is compared.

A page is told from top to bottom in one scratch directory:

    <!-- file: supervise.yaml -->          the next block is that file
    ```console
    $ supervise check supervise.yaml       a command; `> ` continues it
    supervise.yaml: ok, 1 service          what it prints, both streams
    $ echo $?                              the code of the command before
    0
    ```

A ```terminal block is one session on a terminal: its first line starts a program, every line with
a shell's prompt, such as `root@…:/# `, is typed once that prompt is there, the rest is what the
screen shows.

What a page takes for granted is made by ``<!-- before: COMMANDS -->``, which nobody sees.

In what is printed ``…`` stands for any letters, and alone on a line for any lines.  Durations,
pids, ids, times and sizes may differ, and so may the width of gaps.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.support.eventually import eventually
from tests.support.terminal import Terminal

_TIMEOUT = 60.0  # seconds; no example takes that long unless it hangs
_MARK = "-- the command has ended:"
_BLOCK = re.compile(
    r"^<!-- before:(?P<before>.*?)-->$"
    r"|(?:^<!-- file: (?P<file>\S+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NAMESPACES = ("--pid", "--fork", "--mount", "--mount-proc", "--net", "--kill-child")
_PROMPT = re.compile(r"\S+@\S+:\S+# ")
_PREPARED = """\
mount -t tmpfs -o mode=0755 tmpfs /run && ip link set lo up
__code=0
code_before() { return "$1"; }
"""
_RUN_ONE = f"""\
code_before $__code
. "$COMMAND_FILE" </dev/null
__code=$?
printf '\\n%s %s\\n' '{_MARK}' "$__code"
"""
_VOLATILE = (
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b"), "ID"),
    (
        re.compile(r"\b(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour|day)s?)\b"),
        "TIME",
    ),
    (re.compile(r"\b\d+(?:\.\d+)?[kMG]?B\b"), "SIZE"),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"@supervise-0-\d+"), "@supervise-0-N"),
    (re.compile(r"\b(running|starting|stopping)(\s+\S+\s+)\d+\b"), r"\1\2N"),  # a row of `status`
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:us|ms|s|m|h)\b(?: \d+(?:ms|s|m|h)\b)*"), "TIME"),
    (re.compile(r"\s+"), " "),
)


class File(NamedTuple):
    """A file that the reader is to write."""

    line: int  # of the page
    name: str
    text: str


class Command(NamedTuple):
    """A command and what it prints."""

    line: int
    text: str
    expected: tuple[str, ...]


class Preparation(NamedTuple):
    """What the page takes for granted: commands that have to succeed."""

    line: int  # of the page
    text: str


class Session(NamedTuple):
    """A program on a terminal, what is typed into it and what the screen shows."""

    line: int  # of the page
    text: str  # what starts it
    screen: tuple[str, ...]  # prompts with what is typed after them, and what is answered


Step: TypeAlias = File | Command | Session | Preparation


def steps(page: str) -> Iterator[Step]:
    """Yield what a page has its reader do, in order."""
    for block in _BLOCK.finditer(page):
        if block["before"]:
            yield Preparation(page[: block.start()].count("\n") + 1, block["before"].strip())
            continue
        line = page[: block.start("text")].count("\n") + 1
        if block["file"]:
            yield File(line, block["file"], block["text"])
        elif block["kind"] == "console":
            yield from _commands(block["text"].splitlines(), line)
        elif block["kind"] == "terminal":
            first, *screen = block["text"].splitlines()
            yield Session(line, first.removeprefix("$ "), tuple(screen))


def _commands(lines: list[str], first: int) -> Iterator[Command]:
    assert lines[0].startswith("$ "), f"line {first}: a console begins with a command"
    at = 0
    while at < len(lines):
        start = at
        words = [lines[at][2:]]
        at += 1
        while at < len(lines) and lines[at].startswith("> "):
            words.append(lines[at][2:])
            at += 1
        expected = []
        while at < len(lines) and not lines[at].startswith("$ "):
            expected.append(lines[at])
            at += 1
        yield Command(first + start, "\n".join(words), tuple(expected))


def _typed(screen: tuple[str, ...]) -> list[str]:
    """Return what a session has typed."""
    return [line[found.end() :] for line in screen if (found := _PROMPT.match(line))]


def _without_sequences(screen: str) -> str:
    """Return the text of a screen: without what switches bracketed paste, say, on and off."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", screen)


def matches(expected: tuple[str, ...], printed: str) -> bool:
    """Return whether *printed* is what the page shows."""
    lines = [
        "(?:.*\n)*" if line.strip() == "…" else _pattern(_settled(line)) + "\n" for line in expected
    ]
    text = "".join(f"{_settled(line)}\n" for line in printed.splitlines())
    return re.fullmatch("".join(lines), text) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def _settled(line: str) -> str:
    """Return *line* without what differs from run to run."""
    for pattern, word in _VOLATILE:
        line = pattern.sub(word, line)
    return line.strip()


class Console:
    """A shell in namespaces of its own, in an empty directory, with an empty /run."""

    def __init__(self, directory: Path, path: str, *, store: Path) -> None:
        """Start it.

        Args:
            directory: where the examples happen.
            path: its PATH.
            store: where `runtime` keeps what it has.
        """
        self.directory = directory
        self._command = store.with_suffix(".command")
        self._rest = b""
        self._shell = subprocess.Popen(
            ["unshare", *_NAMESPACES, "bash", "--norc", "--noprofile", "-s"],
            cwd=directory,
            env={
                "PATH": path,
                "HOME": str(directory),
                "LANG": "C.UTF-8",
                "RUNTIME_ROOT": str(store),
                "COMMAND_FILE": str(self._command),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._write(_PREPARED)

    def run(self, command: str) -> str:
        """Run *command* and return what it printed, without the last line feed."""
        self._command.write_text(f"{command}\n")
        self._write(_RUN_ONE)
        printed = self._until_the_mark()
        return printed.removesuffix("\n")

    def on_terminal(self, session: Session) -> str:
        """Go through a session and return what the screen showed."""
        inner = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text()
        self._command.write_text(f"export -p > {self._command}.environment\n")
        self.run(self._command.read_text())
        terminal = Terminal(rows=50, columns=100)
        script = f"cd {self.directory} && . {self._command}.environment && exec {session.text}"
        entered = ["nsenter", f"--target={inner.strip()}", "--pid", "--mount", "--net"]
        terminal.client = subprocess.Popen(
            [*entered, "setsid", "--ctty", "bash", "-c", script],
            stdin=terminal.device,
            stdout=terminal.device,
            stderr=terminal.device,
        )
        terminal.release_device()
        try:
            for count, typed in enumerate(_typed(session.screen), start=1):
                eventually(
                    lambda count=count: len(_PROMPT.findall(terminal.screen)) >= count,  # type: ignore[misc]
                    _TIMEOUT,
                )
                terminal.type(typed + "\n")
            terminal.client.wait(_TIMEOUT)
            return _without_sequences(terminal.screen)
        finally:
            terminal.hang_up()
            terminal.client.kill()
            terminal.client.wait()

    def do(self, step: Step) -> str | None:
        """Do what a page says; returns what went otherwise, None if nothing did."""
        if isinstance(step, File):
            path = self.directory / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text)
            return None
        if isinstance(step, Preparation):
            lines = " && ".join(step.text.splitlines())
            printed = self.run(f"{lines} && echo prepared")
            return None if printed.endswith("prepared") else f"line {step.line}: {printed}"
        if isinstance(step, Session):
            printed, expected = self.on_terminal(step), step.screen
        else:
            printed, expected = self.run(step.text), step.expected
        if matches(expected, printed):
            return None
        shown = "\n".join(expected)
        return f"line {step.line}: $ {step.text}\n--- shown\n{shown}\n--- printed\n{printed}\n"

    def close(self) -> None:
        """Remove the containers and end the shell with all that runs in it."""
        if (self._command.parent / self._command.stem).exists():
            self.run("runtime rm --force --volumes $(runtime ps --all --quiet) 2>/dev/null")
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(_TIMEOUT)
        assert self._shell.stdout is not None
        self._shell.stdout.close()

    def _write(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def _until_the_mark(self) -> str:
        assert self._shell.stdout is not None
        pipe = self._shell.stdout.fileno()
        end = re.compile(rf"\n{_MARK} \d+\n".encode())
        deadline = time.monotonic() + _TIMEOUT
        while (found := end.search(self._rest)) is None:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no end after {_TIMEOUT:g} s: {self._rest.decode(errors='replace')}"
            data = os.read(pipe, 65536)
            assert data, f"the shell has ended: {self._rest.decode(errors='replace')}"
            self._rest += data
        printed, self._rest = self._rest[: found.start()], self._rest[found.end() :]
        return printed.decode(errors="backslashreplace").replace("\r\n", "\n")
