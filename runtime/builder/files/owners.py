"""`--chown` and `--chmod`: whom copied files belong to, and which mode they get.

Names are looked up in the image's own /etc/passwd and /etc/group, read as a process in the image
would.  The executor asks before `copy.apply`.
"""

from __future__ import annotations

import errno
import os
import re
import stat

from runtime.linux import beneath
from runtime.model.errors import RuntimeFailure
from supervise.linux import regular
from supervise.model.numerals import whole
from supervise.model.record import Record
from supervise.model.suggest import closest

_LAST_ID = (1 << 32) - 2  # 2^32-1 means "leave it"
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}


class Mode(Record):
    """What `--chmod` does to a file's mode."""

    octal: int | None = None
    clauses: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()  # (who, (sign, what)…)

    def apply(self, mode: int, *, is_directory: bool) -> int:
        """Return the permission bits of a file that had those of *mode*."""
        if self.octal is not None:
            return self.octal
        bits = stat.S_IMODE(mode)
        for who, actions in self.clauses:
            for sign, what in actions:
                bits = _change(bits, who, sign, what, is_directory=is_directory)
        return bits


def parse_mode(text: str) -> Mode | None:
    """Return what ``--chmod=TEXT`` means, None for the empty text: octal, or as chmod(1) has it.

    Raises:
        RuntimeFailure: it is neither.
    """
    if not text:
        return None
    if re.fullmatch("[0-7]+", text) and int(text, 8) <= 0o7777:
        return Mode(octal=int(text, 8))
    clauses = []
    for part in text.split(","):
        found = _CLAUSE.fullmatch(part)
        if found is None:
            raise RuntimeFailure(
                f"cannot use --chmod={text}: '{part}' is no mode",
                "write 0755, or u=rwX,go=rX as chmod(1) has it",
            )
        clauses.append((found[1] or "a", tuple(_ACTION.findall(found[2]))))
    return Mode(clauses=tuple(clauses))


def parse_owner(text: str, root_fd: int) -> tuple[int, int] | None:
    """Return (uid, gid) of ``--chown=TEXT`` in the image *root_fd*, None for the empty text.

    A group that is not given is the user's of /etc/passwd, or as a number the same as the user's.

    Raises:
        RuntimeFailure: the image has no such user or group; names near ones.
    """
    if not text:
        return None
    user, colon, group = text.partition(":")
    uid, gid = _user(user or "0", root_fd, text)
    if colon and group:
        gid = _group(group, root_fd, text)
    return uid, gid


def _user(user: str, root_fd: int, text: str) -> tuple[int, int]:
    if user.isascii() and user.isdecimal():
        number = _number(user, text)
        return number, number
    lines = _table(root_fd, "etc/passwd")
    for line in lines:
        ids = [whole(field) for field in line[2:4]]
        if line[0] == user and len(ids) == 2 and ids[0] is not None and ids[1] is not None:
            return ids[0], ids[1]
    raise _unknown("user", user, text, lines)


def _group(group: str, root_fd: int, text: str) -> int:
    if group.isascii() and group.isdecimal():
        return _number(group, text)
    lines = _table(root_fd, "etc/group")
    for line in lines:
        gid = whole(line[2]) if line[0] == group and len(line) > 2 else None
        if gid is not None:
            return gid
    raise _unknown("group", group, text, lines)


def _number(word: str, text: str) -> int:
    number = whole(word)
    if number is None or number > _LAST_ID:
        raise RuntimeFailure(f"cannot use --chown={text[:60]}: {word[:40]} is larger than any id")
    return number


def _table(root_fd: int, path: str) -> list[list[str]]:
    """Return the fields of every line of a file of the image, nothing when it has none."""
    try:
        object_fd = beneath.open_in_root(root_fd, path.encode(), os.O_PATH)
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise
    try:
        data = _contents(object_fd)
    except regular.NotRegularError:
        return []
    except regular.TooLargeError as error:
        raise RuntimeFailure(f"cannot read /{path} of the image: {error.strerror}") from None
    finally:
        os.close(object_fd)
    return [line.split(":") for line in data.decode(errors="replace").splitlines() if line]


def _contents(object_fd: int) -> bytes:
    fd = regular.reopen(object_fd, os.O_RDONLY)
    try:
        return regular.read(fd)
    finally:
        os.close(fd)


def _unknown(kind: str, name: str, text: str, lines: list[list[str]]) -> RuntimeFailure:
    file = "/etc/passwd" if kind == "user" else "/etc/group"
    near = closest(name, [line[0] for line in lines])
    if near:
        hint = f"did you mean '{near}'?"
    elif lines:
        hint = f"make it in a step before, or write its number; {file} is the image's"
    else:
        hint = f"the image has no {file}: write the number"
    return RuntimeFailure(f"cannot use --chown={text}: the image has no {kind} '{name}'", hint)


def _change(bits: int, who: str, sign: str, what: str, *, is_directory: bool) -> int:
    """Return *bits* after one action of chmod(1); no umask: `a` is meant where nobody is named."""
    classes = "ugo" if "a" in who else who
    wanted = 0
    for name in classes:
        wanted |= _permissions(bits, what, is_directory=is_directory) << _SHIFTS[name]
    special = 0
    if "s" in what:
        special |= (stat.S_ISUID if "u" in classes else 0) | (stat.S_ISGID if "g" in classes else 0)
    if "t" in what:
        special |= stat.S_ISVTX
    if sign == "+":
        return bits | wanted | special
    if sign == "-":
        return bits & ~(wanted | special)
    mask = sum(0o7 << _SHIFTS[name] for name in set(classes))
    if not is_directory:
        mask |= (stat.S_ISUID if "u" in classes else 0) | (stat.S_ISGID if "g" in classes else 0)
    return (bits & ~mask) | wanted | special


def _permissions(bits: int, what: str, *, is_directory: bool) -> int:
    """Return the three bits that the letters of *what* stand for."""
    if what and what in _SHIFTS:
        return bits >> _SHIFTS[what] & 0o7
    found = 0
    for letter in what:
        if letter == "X":
            found |= 0o1 if is_directory or bits & 0o111 else 0
        else:
            found |= {"r": 0o4, "w": 0o2, "x": 0o1}.get(letter, 0)
    return found
