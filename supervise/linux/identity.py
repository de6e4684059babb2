"""passwd(5) and group(5): users by name or number, read from the image's own files.

Not getpwnam(3): that may ask LDAP or DNS through nsswitch.conf and block PID 1, and it needs a
libc that scratch images lack.
"""

from __future__ import annotations

import os

from supervise.linux import regular
from supervise.model.numerals import whole
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWD, GROUP = "/etc/passwd", "/etc/group"
HIGHEST_ID = 0xFFFFFFFE  # one more is -1, which setresuid(2) reads as "leave it as it is"


class Identity(Record):
    """As whom a process runs.  *name*, *home* and *shell* are empty without a passwd row."""

    uid: int
    gid: int
    groups: tuple[int, ...]  # supplementary, gid included
    name: str = ""
    home: str = ""
    shell: str = ""

    def environment(self) -> dict[str, str]:
        """Return HOME, USER, LOGNAME and SHELL as login(1) sets them.

        Without a passwd row they are set as well, or those of supervise's own user would show.
        """
        name = self.name or str(self.uid)
        shell = self.shell or "/bin/sh"  # what passwd(5) says of an empty field
        return {"HOME": self.home or "/", "USER": name, "LOGNAME": name, "SHELL": shell}


class UnknownIdentityError(Exception):
    """A user or group that the image does not have, or that cannot be."""


def resolve(user: str, groups: tuple[str, ...] | None = None) -> Identity:
    """Return the identity for ``name``, ``uid``, ``user:group``; see docker run --user.

    A number without a passwd row is fine: gid 0, no name, home ``/``.  *groups* replaces the
    supplementary groups that group(5) gives the user.

    Raises:
        UnknownIdentityError: a name that is in no file, or a number above 4294967294.
    """
    login, _, group = user.partition(":")
    name, uid, gid, home, shell = _find_user(login) or _user_without_row(login)
    if group:
        gid = group_id(group)
    if groups is not None:
        extra = tuple(group_id(each) for each in groups)
    elif group or not name:
        extra = ()
    else:
        extra = tuple(int(fields[2]) for fields in _rows(GROUP, 4) if name in fields[3].split(","))
    for number in (uid, gid, *extra):
        if number > HIGHEST_ID:
            raise UnknownIdentityError(f"{number} is no uid or gid: the highest is {HIGHEST_ID}")
    return Identity(uid, gid, tuple(dict.fromkeys((gid, *extra))), name, home, shell)


def group_id(group: str) -> int:
    """Return the gid of *group*, a name or a number.

    Raises:
        UnknownIdentityError: a name that is not in group(5).
    """
    for fields in _rows(GROUP, 3):
        if fields[0] == group:
            return int(fields[2])
    gid = whole(group)
    if gid is None:
        raise _unknown(f"group '{group[:40]}'", GROUP)
    return gid


def _unknown(who: str, path: str) -> UnknownIdentityError:
    reason = ""
    try:
        regular.check(os.stat(path))
    except regular.NotRegularError as error:
        reason = f": {error.strerror}"
    except OSError:
        reason = ": there is no such file"
    return UnknownIdentityError(f"{who} is not in {path}{reason}")


def _find_user(login: str) -> tuple[str, int, int, str, str] | None:
    for fields in _rows(PASSWD, 7):
        if login in (fields[0], fields[2]):
            return fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6]
    return None


def _user_without_row(login: str) -> tuple[str, int, int, str, str]:
    uid = whole(login)
    if uid is None:
        raise _unknown(f"user '{login[:40]}'", PASSWD)
    return "", uid, 0, "", ""


def _rows(path: str, columns: int) -> Iterator[list[str]]:
    """Yield the rows of a file that have as many columns, and numbers where ids belong.

    Raises:
        UnknownIdentityError: the file is larger than any that is meant.  A part of it could name
            another user, or leave out a group.
    """
    try:
        text = os.fsdecode(regular.read_path(path))
    except regular.TooLargeError as error:
        raise UnknownIdentityError(f"{path} cannot be used: {error.strerror}") from None
    except OSError:  # none, or a FIFO or a device in its place: numbers need none
        return
    ids = slice(2, 4) if path == PASSWD else slice(2, 3)
    for line in text.splitlines():
        row = line.split(":")
        if len(row) >= columns and None not in map(whole, row[ids]):
            yield row
