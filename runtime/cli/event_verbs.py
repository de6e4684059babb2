"""`events`: what happens to containers, images, networks and volumes, and what has happened."""

from __future__ import annotations

import os
import select
import sys
import time

from runtime.cli import output
from runtime.cli.containers import lookup
from runtime.cli.follower import Follower
from runtime.language import event as model
from runtime.language import filters, templates
from runtime.language.commandline import Verb
from runtime.language.template_functions import TemplateError, to_json
from runtime.linux import inotify
from runtime.model import units
from runtime.model.errors import RuntimeFailure
from runtime.store import events as log
from runtime.store import files
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.language.event import Event
    from runtime.language.filters import Filters
    from runtime.store.layout import Layout

EVENTS = Verb(
    "events",
    "",
    "Show what happens, as it happens",
    """
  -f, --filter filter   container=C, event=ACTION, image=IMAGE, label=KEY[=VALUE],
                        network=N, scope=local, type=container|image|network|volume,
                        volume=NAME
      --format string   'json', or a Go template
      --since string    What has happened from this time on: a time, or 10m ago
      --until string    Only up to this time; then end
""",
    most=0,
)


def events(layout: Layout, words: Arguments) -> int:
    """Show events until the time given, or for ever."""
    given = filters.parse(words.many("filter"), model.FILTERS)
    for text in given.get("type", ()):
        if text not in model.TYPES:
            known = ", ".join(model.TYPES)
            raise RuntimeFailure(f"invalid filter 'type={text}'", f"there are {known}", code=1)
    now = time.time()
    shown = _Shown(
        given,
        _moment(words, "since", now, default=now),
        _moment(words, "until", now, default=None),
        words.text("format"),
    )
    lookup.heal(layout)
    directory = log.directory(layout)
    files.make_directories(directory)
    _stream(directory, shown)
    return 0


def _moment(words: Arguments, option: str, now: float, *, default: float | None) -> float | None:
    if not words.given(option):
        return default
    try:
        return units.moment(words.text(option), now)
    except ValueError as error:
        raise RuntimeFailure(f"--{option}: {error}", code=1) from None


class _Shown:
    """Which events are shown, and how."""

    def __init__(self, given: Filters, since: float | None, until: float | None, form: str) -> None:
        self._given, self._since, self.until = given, since, until
        self._json = form == "json"
        try:
            text = form.replace("\\t", "\t").replace("\\n", "\n")
            self._template = templates.parse(text) if form and not self._json else None
        except TemplateError as error:
            raise output.template_failure(error) from error

    def is_over(self, now: float) -> bool:
        """Return whether nothing more can come that is wanted."""
        return self.until is not None and now >= self.until

    def show(self, event: Event) -> None:
        """Print an event that is wanted."""
        early = self._since is not None and event.time < self._since
        late = self.until is not None and event.time > self.until
        if early or late or not model.matches(event, self._given):
            return
        if self._json:
            sys.stdout.write(f"{to_json(model.document(event))}\n")
        elif self._template is None:
            sys.stdout.write(f"{printable(model.line(event))}\n")  # one line an event
        else:
            fields = model.fields(event)
            output.render(self._template, fields, fields)


def _stream(directory: str, shown: _Shown) -> None:
    watch_fd = inotify.watch(directory)  # before the first reading: nothing falls between
    tail = Follower(f"{directory}/{log.NAME}", model.is_document)
    poll = select.poll()
    poll.register(watch_fd, select.POLLIN)
    coming = tail.past()
    while True:
        over = shown.is_over(time.time())
        for each in coming:
            shown.show(model.from_document(each))
        sys.stdout.flush()
        if over:
            break
        left = None if shown.until is None else units.patience(shown.until - time.time())
        poll.poll(left)
        inotify.drain(watch_fd)
        coming = tail.more()
    os.close(watch_fd)
