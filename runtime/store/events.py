"""The log of what happened: every process adds its lines, `runtime events` reads them.

``run/events/log`` has one JSON line an event, docker's form; at a megabyte it replaces ``log.1``.
Readers wait with inotify(7), so writers need not notify them.
"""

from __future__ import annotations

import errno
import os
import time

from runtime.language import event as model
from runtime.language.event import Event
from runtime.linux import locks, record_files
from runtime.model.errors import DamagedFailure
from runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout

NAME = "log"
LARGEST = 1 << 20  # bytes of one file


def directory(layout: Layout) -> str:
    """Return where the log is, for who wants to watch it."""
    return f"{layout.run}/events"


def emit(layout: Layout, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
    """Note that something happened just now."""
    _append(layout, Event(kind, action, actor, attributes, time.time()))


def of_container(layout: Layout, spec: Spec, action: str, **more: str) -> None:
    """Note what happened to a container; *more* are attributes."""
    _append(layout, model.of_container(spec, action, time.time(), more))


def _append(layout: Layout, event: Event) -> None:
    data = f"{model.encode(event)}\n".encode("utf-8", "replace")
    path = f"{directory(layout)}/{NAME}"
    try:
        files.make_directories(directory(layout))
        with locks.lock(layout.lock("events")):
            fd = files.open_log(path, 0o600)
            try:
                size = os.fstat(fd).st_size
                if os.write(fd, data) < len(data):  # no half line for the next one to go on with
                    os.ftruncate(fd, size)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
                if size + len(data) > LARGEST:
                    os.rename(path, f"{path}.1")
            finally:
                os.close(fd)
    except OSError as error:  # a full disk: what happened has happened, only unwritten
        hint = "what happens is not noted until there is room"
        reason = error.strerror or str(error)
        record_files.note(DamagedFailure(path, reason, hint, verb="write"))
