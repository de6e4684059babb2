"""Which dialect a configuration is written in: told by its first line, and by its name.

A dialect is a package beside this module with a reader, which `load` calls.  Files of kinds that
have no reader are recognised all the same, so that a problem can say what they are.
"""

from __future__ import annotations

import enum
import os
import stat

from supervise.linux import directory
from supervise.model.errors import Problem
from supervise.model.record import Record

_HEAD_BYTES = 64 * 1024  # the first line that is no comment stands in them
_UNIT_SECTIONS = frozenset({"Unit", "Install", "Service", "Socket", "Timer", "Path", "Mount"})
_UNIT_SECTIONS |= {"Automount", "Swap", "Slice", "Scope"}
_UNIT_SUFFIXES = (".service", ".socket", ".timer", ".path", ".mount", ".target", ".slice")
_SUPERVISORD_SECTIONS = frozenset({"supervisord", "supervisorctl", "include"})
_SUPERVISORD_SECTIONS |= {"unix_http_server", "inet_http_server"}
_SUPERVISORD_KINDS = frozenset({"program", "group", "eventlistener", "fcgi-program"})
_SUPERVISORD_KINDS |= {"rpcinterface", "ctlplugin", "inet_http_server", "unix_http_server"}


class Dialect(enum.Enum):
    """What a configuration may be written in."""

    YAML = "supervise.yaml"
    SUPERVISORD = "supervisord.conf"
    UNIT = "systemd unit"


_WAYS_OUT = {
    Dialect.SUPERVISORD: "declare each program as a service: services: {NAME: {command: [...]}}",
    Dialect.UNIT: "declare it as a service: services: {NAME: {command: [...]}}",
}


class Section(Record):
    """The first line of a text that is a section, such as ``[program:web]``."""

    name: str
    line: int  # counted from 1


def of_file(path: str) -> Dialect:
    """Return the dialect of the file *path*; YAML for whatever is no regular file.

    A directory stands for its ``*.yaml``, and what was read from a pipe could not be read again.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Dialect.YAML
        fd = directory.open_for_reading(path)
    except OSError:
        return Dialect.YAML  # its reader says what is wrong with the file
    with open(fd, "rb") as file:
        return of_text(path, file.read(_HEAD_BYTES).decode("utf-8-sig", "replace"))


def of_text(name: str, text: str) -> Dialect:
    """Return the dialect of *text*, or of its first lines, in a file called *name*.

    No supervise.yaml begins with a section: that would be a list, and it is a mapping.
    """
    section = first_section(text)
    if section is None:
        return Dialect.YAML
    kind, colon, _ = section.name.partition(":")
    if section.name in _SUPERVISORD_SECTIONS or (colon and kind in _SUPERVISORD_KINDS):
        return Dialect.SUPERVISORD
    if section.name in _UNIT_SECTIONS or name.endswith(_UNIT_SUFFIXES):
        return Dialect.UNIT
    return Dialect.YAML


def first_section(text: str) -> Section | None:
    """Return the section that the first line of *text* opens; blank lines and comments aside."""
    start = 0
    line = 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        words = text[start:end].strip()
        if words and words[0] not in "#;":
            is_section = words[0] == "[" and words[-1] == "]" and len(words) > 2
            return Section(words[1:-1], line) if is_section else None
        start = end + 1
        line += 1
    return None


def foreign(expected: Dialect, file: str, text: str) -> Problem | None:
    """Return what is wrong with *text* for a reader of *expected*: it is of another dialect."""
    dialect = of_text(file, text)
    section = first_section(text)
    if dialect is expected or section is None:
        return None
    what = f"this is a {dialect.value} ('[{section.name[:60]}]'), not a {expected.value}"
    return Problem(file, section.line, 1, "", what, _WAYS_OUT.get(dialect, ""))
