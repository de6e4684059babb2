"""Service output on its way from pipes to the console, to files, to the ring and to followers.

`daemon.supervisor` says which pipes there are and which processes died; the control socket reads
the rings.  Nothing here blocks before `finish`, and no service can make another one wait.
"""

from __future__ import annotations

from supervise.daemon.logs.channel import CHUNK, Channel, LogRoute, PipeSource
from supervise.daemon.logs.console import stream_of_path
from supervise.daemon.logs.ring import Ring
from supervise.linux import directory
from supervise.model.announcement import Announcement
from supervise.model.service import LogFormat, LogSettings
from supervise.wire import lines, sentences

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from supervise.daemon.logs.channel import Listener
    from supervise.daemon.logs.compressor import Compressor
    from supervise.daemon.logs.console import Console
    from supervise.daemon.logs.logfile import LogFile
    from supervise.daemon.logs.sinks import Announce
    from supervise.daemon.loop import Loop
    from supervise.model.service import ServiceSpec
    from supervise.wire.lines import LogRecord, Render

_SEVERITY_COLOURS = {"warning": 33, "error": 31}


class LogRelay:
    """All output of all services, and our own events.

    *announce* is told of dropped lines and of log files that cannot be written; whoever it is
    hands the announcement back to `event` to have it shown.
    """

    def __init__(self, loop: Loop, console: Console, announce: Announce) -> None:
        self._loop = loop
        self._console = console
        self._announce = announce
        self._channels: dict[str, Channel] = {}
        self._logs: dict[str, LogSettings] = {}
        self._width = len(sentences.OURSELVES)
        self._event_format = LogFormat.PREFIX
        self._events_dropped = 0
        self._leaving: dict[
            PipeSource, LogSettings
        ] = {}  # of removed services, with words to be written
        self._files: dict[str, LogFile] = {}  # by real path; services may share one
        self._real_paths: dict[str, str] = {}  # as configured → without symbolic links
        self._compressor: Compressor | None = None  # once there is a log file
        console.announce_with(announce)

    @property
    def helper_pids(self) -> frozenset[int]:
        """Return our own children, which compress: they are no service's and need no mention."""
        return self._compressor.pids if self._compressor is not None else frozenset()

    # -- what the plan says

    def configure(
        self,
        services: Mapping[str, ServiceSpec],
        *,
        event_format: LogFormat = LogFormat.PREFIX,
    ) -> None:
        """Take over widths, formats and sinks; rings and open pipes stay.

        Services that are missing here keep what they have until `forget`.
        """
        self._event_format = event_format
        self._width = max(map(len, [sentences.OURSELVES, *services]))
        self._logs.update({name: spec.logs for name, spec in services.items()})
        for name in self._logs:
            self._route(name)
        self._settle_files()

    def wants_pipe(self, spec: ServiceSpec) -> bool:
        """Return False when the service writes to our own descriptors: raw, and no file."""
        return spec.logs.format is not LogFormat.RAW or spec.logs.file is not None

    def forget(self, service: str) -> None:
        """Let go of everything a removed service had, once its last words are written.

        Pipes that descendants hold open are closed.  Who follows the service keeps an empty ring
        until it leaves, because a service of that name may come again.
        """
        logs = self._logs.pop(service, None)
        channel = self._channels.get(service)
        if channel is not None and logs is not None:
            channel.ring = Ring()
            if not channel.is_followed:
                del self._channels[service]
            for source in list(channel.sources):
                self._leaving[source] = logs
                self._let_go(source)
            channel.report_dropped()
        if logs is not None and logs.file is not None:
            self._settle_files()

    def _let_go(self, source: PipeSource) -> None:
        """Write what *source* still has, as soon as its sink takes it, and close it."""
        source.drain()
        sink = source.must_wait_for()
        if sink is not None and source.is_open:
            sink.when_drained(lambda: self._let_go(source), source)
            return
        source.flush()
        source.close()
        logs = self._leaving.pop(source, None)
        if logs is not None and logs.file is not None:
            self._settle_files()

    # -- pipes

    def adopt(self, service: str, stream: str, pid: int, owned_fd: int) -> None:
        """Read *owned_fd*, the pipe of *stream* of process *pid*, until its last writer is gone.

        That may be long after the process: a service may have several pipes a stream at once.
        """
        channel = self._channel(service)
        channel.sources.append(PipeSource(self._loop, channel, stream, pid, owned_fd))

    def drain(self, service: str) -> None:
        """Relay what the service's process left in its pipes when it died.

        Before its exit is announced, so that its last words come first.
        """
        channel = self._channels.get(service)
        for source in list(channel.sources) if channel else ():
            source.drain()

    # -- our own voice

    def event(self, announcement: Announcement, when: float) -> None:
        """Write *announcement* to stderr, unless it is for debugging; *when*: wall clock."""
        if announcement.severity == "debug":
            return
        outlet = self._console.outlet("stderr")
        block = self._render_event(announcement, when)
        if outlet.holder is not None:
            block = b"\n" + block
            outlet.holder = None
        if outlet.offer(block, sentences.OURSELVES):
            return
        if not self._events_dropped:
            outlet.when_drained(self._report_dropped_events, None)
        self._events_dropped += 1

    # -- readers

    def tail(
        self, services: Iterable[str], lines: int | None = None, since: float | None = None
    ) -> list[LogRecord]:
        """Return what the rings of *services* hold, in order of time.

        Args:
            services: names; those without output are skipped.
            lines: at most so many records, the newest; None: all.
            since: only records from this moment on, in wall clock seconds.
        """
        found: list[LogRecord] = []
        for name in services:
            if name in self._channels:
                found += self._channels[name].ring.records(name)
        if since is not None:
            found = [record for record in found if record.time >= since]
        found.sort(key=lambda record: record.time)
        if lines is None:
            return found
        return found[-lines:] if lines > 0 else []

    def follow(self, services: Iterable[str], listener: Listener) -> Callable[[], None]:
        """Call *listener* with every new record of *services*; return what ends it.

        It is called from the loop; a listener that raises costs nobody else anything.
        """
        cancels = [self._channel(name).follow(listener) for name in services]

        def cancel() -> None:
            for one in cancels:
                one()
            for name in set(self._channels) - set(self._logs):
                if not self._channels[name].is_followed:
                    del self._channels[name]

        return cancel

    def is_stalled(self, service: str) -> bool:
        """Return whether the service's output waits, or is lost, for a reader that does not read."""
        channel = self._channels.get(service)
        return channel is not None and channel.stalled()

    # -- files

    def reopen(self) -> None:
        """Open all log files anew: another program has moved them away."""
        for file in self._files.values():
            file.reopen()

    def _file(self, service: str, logs: LogSettings) -> LogFile:
        assert logs.file is not None
        path = self._real_path(logs.file)
        file = self._files.get(path)
        if file is None:
            from supervise.daemon.logs import (  # 0.2 MB, for plans with log files
                compressor,
                logfile,
            )

            self._compressor = self._compressor or compressor.Compressor(self._loop)
            file = logfile.LogFile(
                logs.file,
                service,
                logs,
                loop=self._loop,
                compressor=self._compressor,
                announce=self._announce,
            )
            self._files[path] = file
            file.open()
        return file

    def _real_path(self, path: str) -> str:
        """Return which file *path* meant at first sight: two names must not be two writers."""
        real = self._real_paths.get(path)
        if real is None:
            # Not os.path.realpath: a link of one service's user must not close another's file.
            real = self._real_paths[path] = directory.real_path(path)
        return real

    def _settle_files(self) -> None:
        """Close the files nobody writes to; of services that share one, the first one's rules."""
        rules: dict[str, LogSettings] = {}
        for logs in (*self._logs.values(), *self._leaving.values()):
            if logs.file is not None:
                rules.setdefault(self._real_path(logs.file), logs)
        self._real_paths = {name: path for name, path in self._real_paths.items() if path in rules}
        for path, file in list(self._files.items()):
            if path in rules:
                file.configure(rules[path])
            else:
                file.close()
                del self._files[path]

    # -- the end

    def stop_helpers(self) -> None:
        """Compress nothing from here on: before the last processes are swept away."""
        if self._compressor is not None:
            self._compressor.stop()

    def finish(self, deadline: float) -> None:
        """Relay all that is left, waiting for slow readers until *deadline* (monotonic)."""
        for source in list(self._leaving):
            self._exhaust(source, deadline)
            source.flush()
        for channel in self._channels.values():
            for source in list(channel.sources):
                self._exhaust(source, deadline)
                source.flush()
            channel.report_dropped()
        for file in self._files.values():
            file.finish(deadline)
        self._console.finish(deadline)
        self.stop_helpers()

    def _exhaust(self, source: PipeSource, deadline: float) -> None:
        while self._loop.now() < deadline:
            sink = source.must_wait_for()
            if sink is not None:
                sink.finish(deadline)
            elif source.read(CHUNK) == 0:
                return

    # -- helpers

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            self._channels[name] = Channel(self._loop, name, self._announce)
            self._logs.setdefault(name, LogSettings())
            self._route(name)
        return self._channels[name]

    def _route(self, name: str) -> None:
        """Connect a service's streams to the sinks its settings ask for."""
        channel = self._channels.get(name)
        if channel is None:
            return
        logs = self._logs[name]
        channel.on_stall = logs.on_stall
        target = stream_of_path(logs.file) if logs.file else None
        plain = self._renderer(name, logs.format, coloured=False)
        for stream in channel.routes:
            routes = []
            if logs.file and target is None:
                routes.append(LogRoute(self._file(name, logs), plain))
            if not routes or logs.tee:
                shown = target or stream
                coloured = self._console.coloured(shown)
                render = self._renderer(name, logs.format, coloured=True) if coloured else plain
                routes.append(LogRoute(self._console.outlet(shown), render))
            channel.routes[stream] = routes

    def _renderer(self, name: str, form: LogFormat, *, coloured: bool) -> Render:
        if form is LogFormat.JSON:
            return lines.json_renderer(name)
        if form is LogFormat.LOGFMT:
            return lines.logfmt_renderer(name)
        if form is LogFormat.RAW:
            return lines.render_raw
        return lines.prefix_renderer(self._prefix(name, coloured=coloured).encode())

    def _prefix(self, name: str, *, coloured: bool) -> str:
        padded = name.ljust(self._width)
        if not coloured:
            return f"{padded} | "
        # Starts with a reset: the service may have left its own colours on.
        return f"\x1b[0;{lines.colour_of(name)}m{padded} |\x1b[0m "

    def _render_event(self, announcement: Announcement, when: float) -> bytes:
        if self._event_format is LogFormat.JSON:
            return sentences.render_json(announcement, when)
        if self._event_format is LogFormat.LOGFMT:
            return sentences.render_logfmt(announcement, when)
        if self._event_format is LogFormat.RAW:
            return sentences.render_prefix(announcement, f"{sentences.OURSELVES}: ")
        padded = sentences.OURSELVES.ljust(self._width)
        if not self._console.coloured("stderr"):
            return sentences.render_prefix(announcement, f"{padded} | ")
        colour = _SEVERITY_COLOURS.get(announcement.severity, 1)
        return sentences.render_prefix(announcement, f"\x1b[0;{colour}m{padded} |\x1b[0m ")

    def _report_dropped_events(self) -> None:
        dropped, self._events_dropped = self._events_dropped, 0
        fields = {"service": sentences.OURSELVES, "lines": dropped}
        self._announce(Announcement("log.dropped", fields))
