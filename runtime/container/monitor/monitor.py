"""The process beside each container: starts it, keeps its streams and its log, and clears up.

Forked from the command line, never executed anew, so that containers share its memory.  It holds
the lock ``alive`` in the container's run directory as long as it lives: who gets that lock knows
that the container is dead and clears up (`runtime.container.heal`).  Clients talk frames over
``monitor.sock`` (`runtime.wire.frames`).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import time

from runtime.container import remains
from runtime.container.connection import NetworkConnection
from runtime.container.monitor import stopping
from runtime.container.monitor.clients import Clients
from runtime.container.monitor.jsonlog import JsonLog
from runtime.container.monitor.loop import READ, MonitorLoop, MonitorTimer
from runtime.container.monitor.starting import Start
from runtime.container.monitor.streams import Streams
from runtime.container.start.launch import Launch
from runtime.linux.failpoints import reached
from runtime.model import jsontext
from runtime.model.container import defaults, health, restarting, statuses
from runtime.model.container.spec import Spec
from runtime.model.container.state import State
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.store import events
from runtime.store.containers import Containers
from runtime.wire import frames
from supervise.linux import handlerstack
from supervise.model.exitstatus import from_wait_status, shell_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from runtime.container.monitor.health_checks import Checks
    from runtime.container.monitor.peer import Peer
    from runtime.model.container.state import HealthProbe
    from runtime.store.layout import Layout

_SIGINT, _SIGTERM, _SIGHUP, _SIGPIPE, _SIGCHLD = 2, 15, 1, 13, 17


class Monitor:
    """One container from its start to its end, restarts included."""

    def __init__(self, layout: Layout, spec: Spec, client: _socket.socket) -> None:
        self._layout = layout
        self._spec = spec
        self._directory = layout.container(spec.id)
        self._containers = Containers(layout)
        self._network = NetworkConnection(layout, spec)
        self._loop = MonitorLoop()
        self._log = JsonLog(self._directory, spec.logging)
        self._streams = self._new_streams()
        self._begun: Start | None = Start(self._loop)  # until the program runs
        self._launch: Launch | None = None
        self._state = State()
        self._window = (0, 0)
        self._over = False  # nothing is left to be done
        self._stop: stopping.Stop | None = None
        self._stop_timer: MonitorTimer | None = None
        self._restart_timer: MonitorTimer | None = None
        self._delay = 0.0  # seconds, the last one before a restart
        self._started = 0.0  # monotonic
        self._checks: Checks | None = None
        run = layout.container_run(spec.id)
        self._clients = Clients(self._loop, run, self._frame, self._client_changed)
        self._first = self._clients.add(client)
        self._first.wants_output = True
        self._first.feeds_stdin = spec.interactive

    # -- life

    def run(self) -> None:
        """Start the container and stay until it is over."""
        self._take_signals()
        if self._spec.tty and not self._spec.detached and self._begun is not None:
            self._begun.await_window()
        try:
            self._start()
        except RuntimeFailure as failure:
            self._failed(failure)
            return
        if not self._over:  # it may have ended while its start was being finished
            self._loop.run()

    def _start(self) -> None:
        spec = self._spec
        reached("monitor-start")
        begun = self._begun
        assert begun is not None
        launch = Launch(self._layout, spec, self._network, now=time.time())
        ends = None if spec.tty else self._streams.open_pipes(stdin=spec.interactive)
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        try:
            begun.run(launch, spec.name, ends or (-1, -1, -1), self._window)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
            for fd in ends or ():
                os.close(fd)
        self._begun = None
        self._launch = launch
        if spec.tty:
            fd, launch.terminal_fd = launch.terminal_fd, -1
            self._streams.take_terminal(fd, stdin=spec.interactive)
        self._started = time.monotonic()
        endpoints = (launch.endpoint, *launch.joined) if launch.endpoint else ()
        if health.is_on(spec.healthcheck):
            self._state = health.begin(self._state)
        self._save(
            status=statuses.RUNNING,
            pid=launch.pid,
            pid_started=launch.pid_started,
            monitor_pid=os.getpid(),
            started=time.time(),
            finished=0.0,
            exit_code=0,
            error="",
            oom_killed=False,
            endpoints=endpoints,
        )
        for remark in launch.remarks:
            self._clients.tell_all(frames.encode(frames.NOTICE, remark.encode()))
        self._streams.start()
        self._clients.tell_all(frames.encode_json(frames.STARTED, {"pid": launch.pid}))
        self._note("start")
        self._begin_checks()
        for number in begun.signals:
            self._kill(number)
        self._reap()  # it may have ended while its SIGCHLD was blocked

    def _failed(self, failure: RuntimeFailure) -> None:
        """The container never ran: say so and leave nothing but its record."""
        said = {"message": failure.message, "hint": failure.hint, "code": failure.code}
        finished = time.time()
        self._streams.close()
        if self._spec.auto_remove:
            with suppress(OSError):  # a full disk: the next command does it
                remains.forget(self._layout, self._spec)
        else:
            self._save(
                status=statuses.CREATED,
                exit_code=failure.code,
                error=failure.message,
                finished=finished,
            )
        self._clients.tell_all(frames.encode_json(frames.FAILED, said))
        self._end()

    def _ended(self, status: int) -> None:
        """The first process has been reaped."""
        launch, spec = self._launch, self._spec
        assert launch is not None
        launch.pid = 0
        self._end_checks()
        code = shell_code(from_wait_status(status))
        now = time.time()
        if spec.pid_mode:
            launch.cgroup.kill()  # nobody else ends those it left behind
        self._streams.pause(pause=False)
        self._streams.drain()
        self._log.flush(now)
        oom = launch.cgroup.oom_kills() > 0
        if self._stop_timer:
            self._stop_timer.cancel()
        if spec.ports or spec.publish_all:
            launch.disconnect()  # so that the next one may have the ports at once
        ended = health.end(self._state)
        self._state = ended.replace(exit_code=code, oom_killed=oom, finished=now, pid=0)
        if oom:
            self._note("oom")
        self._note("die", exitCode=str(code))
        if self._stop is not None:
            self._note("stop")
        delay = restarting.delay(
            spec.restart,
            exit_code=code,
            restarts=self._state.restarts,
            previous=self._delay,
            ran_for=time.monotonic() - self._started,
            stopped_by_user=self._state.stopped_by_user,
        )
        if delay is None:
            self._finish(launch, code)
            return
        self._say_exit(code)
        self._streams.close()
        self._launch = None
        launch.clear_up()
        self._save(status=statuses.RESTARTING, restarts=self._state.restarts + 1, endpoints=())
        self._delay = delay
        self._restart_timer = self._loop.after(delay, self._restart)

    def _restart(self) -> None:
        self._restart_timer = None
        self._begun = Start(self._loop)
        self._streams = self._new_streams()
        try:
            self._start()
        except RuntimeFailure as failure:
            self._failed(failure)

    def _finish(self, launch: Launch, code: int) -> None:
        """The end for good: first what people wait for, then what nobody sees."""
        reached("ended")
        doomed = None
        if self._spec.auto_remove:
            with suppress(OSError):  # a full disk: the next command does it
                doomed = remains.retire(self._layout, self._spec)
        if doomed is None:
            self._save(status=statuses.EXITED, endpoints=(), monitor_pid=0)
        reached("recorded")
        self._say_exit(code)
        self._clients.finish()
        self._streams.close()
        launch.clear_up()
        if doomed is not None:
            remains.remove_retired(self._layout, self._spec, doomed)
        self._end()

    def _end(self) -> None:
        self._clients.finish()
        self._log.close()
        reached("before-run-directory")
        self._over = True
        directory = self._layout.container(self._spec.id)
        if not (self._spec.auto_remove and os.path.lexists(directory)):  # else `heal` is to find it
            remains.remove_run_directory(self._layout, self._spec.id)
        self._loop.stop()

    def _say_exit(self, code: int) -> None:
        said = {"code": code, "error": self._state.error, "oom": self._state.oom_killed}
        if self._stop is not None:
            said["stop"] = self._stop.outcome(code)
        self._clients.tell_waiting(frames.encode_json(frames.REPLY, said))
        self._stop = None
        self._clients.tell_viewers(frames.encode_json(frames.EXIT, said))

    def _note(self, action: str, **more: str) -> None:
        events.of_container(self._layout, self._spec, action, **more)

    def _save(self, **changes: Any) -> None:
        self._state = self._state.replace(**changes)
        with suppress(OSError, RuntimeFailure):
            # A disk that takes not even what is written over, or a container removed by force: its
            # life goes on, only unwritten.  Nobody believes the record without a living monitor.
            self._containers.save_state(self._spec.id, self._state)

    # -- signals

    def _take_signals(self) -> None:
        handlerstack.ensure()
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for number in (_SIGHUP, _SIGPIPE):
            _signal.signal(number, _signal.SIG_IGN)
        for number in (_SIGINT, _SIGTERM, _SIGCHLD):
            _signal.signal(number, _noted)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        self._loop.watch(read_fd, READ, lambda _events: self._signalled(read_fd))

    def _signalled(self, read_fd: int) -> None:
        numbers = set(os.read(read_fd, 4096))
        if numbers & {_SIGINT, _SIGTERM}:
            self._stop_container(None, {})
        if self._begun is None:
            self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._launch is not None and pid == self._launch.pid:
                self._ended(status)
            elif self._checks is None or not self._checks.child_ended(pid):
                self._network.child_ended(pid)

    # -- streams and clients

    def _new_streams(self) -> Streams:
        return Streams(self._loop, self._output, self._input_room)

    def _output(self, stream: str, data: bytes) -> None:
        self._log.write(stream, data, time.time())
        if self._log.lost and (problem := self._log.take_problem()):
            self._clients.tell_all(frames.encode(frames.NOTICE, problem.encode()))
        kind = frames.STDOUT if stream == "stdout" else frames.STDERR
        self._clients.tell_viewers(frames.encode(kind, data))
        if self._clients.are_slow():
            self._streams.pause(pause=True)

    def _input_room(self, room: bool) -> None:  # noqa: FBT001 - a callback with one argument
        self._clients.hold_back(hold=not room)

    def _client_changed(self, peer: Peer) -> None:
        if peer.closed and peer is self._first and self._begun is not None:
            self._begun.wait_no_longer()
        if not self._clients.are_slow():
            self._streams.pause(pause=False)

    def _frame(self, peer: Peer, kind: int, body: bytes) -> None:
        """Do what a client says."""
        try:
            if kind == frames.STDIN and peer.feeds_stdin:
                self._streams.feed(body)
            elif kind == frames.CLOSE_STDIN and peer.feeds_stdin:
                if peer is self._first and not self._spec.tty:
                    self._streams.close_input()
            elif kind == frames.RESIZE:
                self._resize(*frames.decode_window(body))
            elif kind == frames.ATTACH:
                wanted = jsontext.loads(body)
                peer.wants_output = bool(wanted.get("output"))
                peer.feeds_stdin = bool(wanted.get("stdin")) and self._spec.interactive
                peer.send(frames.encode_json(frames.STARTED, {"pid": self._state.pid}))
            elif kind == frames.REQUEST:
                self._request(peer, jsontext.loads(body))
        except RuntimeFailure as failure:
            said = {"message": failure.message, "hint": failure.hint, "code": failure.code}
            peer.send(frames.encode_json(frames.FAILED, said))
        except (ValueError, TypeError, AttributeError, KeyError):  # no client of ours says that
            self._clients.drop(peer)

    def _resize(self, rows: int, columns: int) -> None:
        self._window = (rows, columns)
        if self._begun is not None:
            self._begun.wait_no_longer()
        elif self._launch is not None:
            self._streams.resize(rows, columns)

    # -- requests

    def _request(self, peer: Peer, asked: dict[str, Any]) -> None:
        verb = asked["do"]
        if verb == "stop":
            self._stop_container(peer, asked)
        elif verb == "kill":
            self._kill(int(asked["signal"]))
            peer.send(frames.encode_json(frames.REPLY, {}))
        elif verb == "wait":
            self._clients.await_end(peer)
        elif verb == "starting":
            peer.send(frames.encode_json(frames.REPLY, {"starting": self._begun is not None}))
        elif verb in ("pause", "unpause"):
            self._freeze(freeze=verb == "pause")
            peer.send(frames.encode_json(frames.REPLY, {}))
        elif verb == "reload":  # `update` and `rename` have changed it
            self._spec = self._containers.spec(self._spec.id)
            self._network.change(self._spec)
            peer.send(frames.encode_json(frames.REPLY, {}))
        elif verb == "endpoints" and self._launch is not None:  # `network connect`, `disconnect`
            self._save(endpoints=self._launch.take_over(asked["endpoints"]))
            peer.send(frames.encode_json(frames.REPLY, {}))
        else:
            raise RuntimeFailure(f"this monitor cannot '{verb}': it is of another version", code=1)

    def _stop_container(self, peer: Peer | None, asked: dict[str, Any]) -> None:
        """Ask the first process to end, and kill it when its time is over."""
        if peer is not None:
            self._clients.await_end(peer)
        self._state = self._state.replace(stopped_by_user=True)
        if self._begun is not None:
            self._begun.end(_SIGTERM)
            return
        if self._launch is None:
            if self._restart_timer is not None:
                self._restart_timer.cancel()
                self._restart_timer = None
                self._give_up()
            return
        if self._stop is not None:
            return  # it is being stopped; the second one waits too
        spec = self._spec
        number = int(asked.get("signal") or spec.stop_signal)
        timeout = asked.get("timeout")
        if timeout is None:
            timeout = defaults.STOP_TIMEOUT if spec.stop_timeout is None else spec.stop_timeout
        if self._state.status == statuses.PAUSED:
            self._freeze(freeze=False)
        self._stop = stopping.Stop(self._launch.pid, number, float(timeout))
        self._stop.ask()
        self._note("kill", signal=str(number))
        if timeout >= 0:
            self._stop_timer = self._loop.after(float(timeout), self._kill_at_last)

    def _kill_at_last(self) -> None:
        if self._stop is not None and self._launch is not None:
            self._stop.kill()

    def _give_up(self) -> None:
        """A stop came between two starts."""
        self._save(status=statuses.EXITED, monitor_pid=0)
        self._say_exit(self._state.exit_code)
        self._end()

    def _kill(self, number: int) -> None:
        if self._begun is not None:
            self._begun.signal(number)
            return
        if self._launch is None:
            raise RuntimeFailure(f"container '{self._spec.name}' is not running", code=1)
        if number == 9:
            self._state = self._state.replace(stopped_by_user=True)
            if self._state.status == statuses.PAUSED:
                self._freeze(freeze=False)
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self._launch.pid, number)
            self._note("kill", signal=str(number))

    def _freeze(self, *, freeze: bool) -> None:
        wanted = statuses.RUNNING if freeze else statuses.PAUSED
        if self._launch is None or self._state.status != wanted:
            raise RuntimeFailure(f"container '{self._spec.name}' is not {wanted}", code=1)
        try:
            (self._launch.cgroup.freeze if freeze else self._launch.cgroup.thaw)()
        except OSError as error:
            verb = "pause" if freeze else "unpause"
            raise RuntimeFailure(
                f"cannot {verb} '{self._spec.name}': {error.strerror}", code=1
            ) from None
        if freeze:
            self._end_checks()
        self._save(status=statuses.PAUSED if freeze else statuses.RUNNING)
        self._note("pause" if freeze else "unpause")
        if not freeze:
            self._begin_checks()

    # -- health

    def _begin_checks(self) -> None:
        check = self._spec.healthcheck
        if check is None or not health.is_on(check) or self._stop is not None:
            return
        if self._checks is None:
            from runtime.container.monitor.health_checks import Checks

            self._checks = Checks(self._layout, self._spec, check, self._loop, self._checked)
        self._checks.start(self._state)

    def _end_checks(self) -> None:
        if self._checks is not None:
            self._checks.stop()

    def _checked(self, probe: HealthProbe) -> State:
        assert self._spec.healthcheck is not None
        before = self._state.health
        self._state = health.after(self._spec.healthcheck, self._state, probe)
        self._save()
        if self._state.health != before:
            self._note(f"health_status: {self._state.health}")
        return self._state


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the wake-up descriptor tells the loop."""
