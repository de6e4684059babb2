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
from runtime.container.monitor.requests import Requests
from runtime.container.monitor.starting import Start
from runtime.container.monitor.streams import Streams
from runtime.container.start.launch import Launch
from runtime.linux.failpoints import reached
from runtime.model.container import defaults, health, lifecycle
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
    from collections.abc import Callable
    from typing import Any

    from runtime.container.monitor.health_checks import Checks
    from runtime.container.monitor.peer import Peer
    from runtime.model.container.state import HealthProbe
    from runtime.store.layout import Layout
    from supervise.model.record import Record

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
        self._life = lifecycle.Life(spec.restart)
        self._carry_out = self._effects()
        self._window = (0, 0)
        self._over = False  # nothing is left to be done
        self._stop: stopping.Stop | None = None
        self._stop_timer: MonitorTimer | None = None
        self._restart_timer: MonitorTimer | None = None
        self._started = 0.0  # monotonic
        self._checks: Checks | None = None
        run = layout.container_run(spec.id)
        requests = Requests(self)
        self._clients = Clients(self._loop, run, requests.frame, self._client_changed)
        self._first = self._clients.add(client)
        self._first.wants_output = True
        self._first.feeds_stdin = spec.interactive

    # -- life

    def run(self) -> None:
        """Start the container and stay until it is over."""
        self._take_signals()
        if self._spec.tty and not self._spec.detached and self._begun is not None:
            self._begun.await_window()
        self._start()
        if not self._over:  # it may have ended while its start was being finished
            self._loop.run()

    def feed(self, event: Record) -> None:
        """Let *event* change the container's life, and carry out what follows."""
        self._life, effects = lifecycle.step(self._life, event)
        for effect in effects:
            self._carry_out[type(effect)](effect)

    def _effects(self) -> dict[type[Record], Callable[[Any], None]]:
        return {
            lifecycle.WriteRecord: self._write_record,
            lifecycle.TellToEnd: self._tell_to_end,
            lifecycle.ArmGrace: self._arm_grace,
            lifecycle.KillAtLast: self._kill_at_last,
            lifecycle.SignalProgram: self._signal_program,
            lifecycle.SignalStart: self._signal_start,
            lifecycle.EndStart: self._end_start,
            lifecycle.ArmRestart: self._arm_restart,
            lifecycle.BeginStart: self._begin_start,
            lifecycle.FreezeProcesses: self._freeze,
            lifecycle.ThawProcesses: self._thaw,
            lifecycle.ReportStart: self._report_start,
            lifecycle.Repeat: lambda effect: self.feed(effect.event),
            lifecycle.BeginChecks: self._begin_checks,
            lifecycle.EndChecks: self._end_checks,
            lifecycle.NoteEvent: lambda effect: self._note(effect.action, **dict(effect.details)),
            lifecycle.ClearUpRun: self._clear_up_run,
            lifecycle.AbandonStart: self._abandon_start,
            lifecycle.FinishRun: self._finish,
            lifecycle.GiveUpRestart: self._give_up,
            lifecycle.Refuse: self._refuse,
        }

    def _start(self) -> None:
        try:
            self._start_program()
        except RuntimeFailure as failure:
            failed = lifecycle.StartFailed(failure.message, failure.hint, failure.code)
            self.feed(failed)

    def _start_program(self) -> None:
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
        self._state = self._state.replace(
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
        self.feed(lifecycle.ProgramStarted())
        for number in begun.signals:
            self.feed(lifecycle.KillAsked(number))
        self._reap()  # it may have ended while its SIGCHLD was blocked

    def _report_start(self, _effect: lifecycle.ReportStart) -> None:
        assert self._launch is not None
        for remark in self._launch.remarks:
            self._clients.tell_all(frames.encode(frames.NOTICE, remark.encode()))
        self._streams.start()
        self._clients.tell_all(frames.encode_json(frames.STARTED, {"pid": self._launch.pid}))

    def _abandon_start(self, effect: lifecycle.AbandonStart) -> None:
        failure = effect.failure
        said = {"message": failure.message, "hint": failure.hint, "code": failure.exit_code}
        finished = time.time()
        self._streams.close()
        if self._spec.auto_remove:
            with suppress(OSError):  # a full disk: the next command does it
                remains.forget(self._layout, self._spec)
        else:
            self._save(
                exit_code=failure.exit_code,
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
        ran_for = time.monotonic() - self._started
        self.feed(lifecycle.ProgramEnded(code, ran_for, oom))

    def _clear_up_run(self, _effect: lifecycle.ClearUpRun) -> None:
        launch = self._launch
        assert launch is not None
        self._say_exit(self._state.exit_code)
        self._streams.close()
        self._launch = None
        launch.clear_up()

    def _arm_restart(self, effect: lifecycle.ArmRestart) -> None:
        self._restart_timer = self._loop.after(
            effect.seconds, lambda: self.feed(lifecycle.RestartDue())
        )

    def _begin_start(self, _effect: lifecycle.BeginStart) -> None:
        self._restart_timer = None
        self._begun = Start(self._loop)
        self._streams = self._new_streams()
        self._start()

    def _finish(self, _effect: lifecycle.FinishRun) -> None:
        """The end for good: first what people wait for, then what nobody sees."""
        launch = self._launch
        assert launch is not None
        reached("ended")
        doomed = None
        if self._spec.auto_remove:
            with suppress(OSError):  # a full disk: the next command does it
                doomed = remains.retire(self._layout, self._spec)
        if doomed is None:
            self._save(endpoints=(), monitor_pid=0)
        reached("recorded")
        self._say_exit(self._state.exit_code)
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

    def _write_record(self, effect: lifecycle.WriteRecord) -> None:
        self._save(**({"endpoints": ()} if effect.ended else {}))

    def _save(self, **changes: Any) -> None:
        life = self._life
        self._state = self._state.replace(
            status=life.status,
            restarts=life.restarts,
            stopped_by_user=life.stopped_by_user,
            **changes,
        )
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
            self.stop({})
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

    # -- what clients ask for, see `Requests`

    def stop(self, asked: dict[str, Any]) -> None:
        """Stop the container, *asked* for with a signal and a timeout or without."""
        spec = self._spec
        timeout = asked.get("timeout")
        if timeout is None:
            timeout = defaults.STOP_TIMEOUT if spec.stop_timeout is None else spec.stop_timeout
        number = int(asked.get("signal") or spec.stop_signal)
        self.feed(lifecycle.StopAsked(number, float(timeout)))

    def feed_input(self, peer: Peer, data: bytes) -> None:
        """Pass on what *peer* typed."""
        if peer.feeds_stdin:
            self._streams.feed(data)

    def close_input(self, peer: Peer) -> None:
        """Let the program read to the end; a later client's end is not the program's."""
        if peer.feeds_stdin and peer is self._first and not self._spec.tty:
            self._streams.close_input()

    def resize(self, rows: int, columns: int) -> None:
        """Take the size of a client's terminal."""
        self._window = (rows, columns)
        if self._begun is not None:
            self._begun.wait_no_longer()
        elif self._launch is not None:
            self._streams.resize(rows, columns)

    def attach(self, peer: Peer, *, output: bool, stdin: bool) -> None:
        """Let *peer* see the output, and type."""
        peer.wants_output = output
        peer.feeds_stdin = stdin and self._spec.interactive
        peer.send(frames.encode_json(frames.STARTED, {"pid": self._state.pid}))

    def await_end(self, peer: Peer) -> None:
        """Let *peer* hear of the end."""
        self._clients.await_end(peer)

    def drop(self, peer: Peer) -> None:
        """Let one go that makes no sense."""
        self._clients.drop(peer)

    def is_starting(self) -> bool:
        """Return whether the program is not running yet."""
        return self._begun is not None

    def reload(self) -> None:
        """Take over what `update` and `rename` have changed."""
        self._spec = self._containers.spec(self._spec.id)
        self._network.change(self._spec)
        self.feed(lifecycle.PolicyChanged(self._spec.restart))

    def take_endpoints(self, endpoints: list[dict[str, Any]]) -> bool:
        """Take over what `network connect` and `disconnect` made; return whether it can."""
        if self._launch is None:
            return False
        self._save(endpoints=self._launch.take_over(endpoints))
        return True

    # -- effects

    def _end_start(self, _effect: lifecycle.EndStart) -> None:
        if self._begun is not None:
            self._begun.end(_SIGTERM)

    def _tell_to_end(self, effect: lifecycle.TellToEnd) -> None:
        assert self._launch is not None
        self._stop = stopping.Stop(self._launch.pid, effect.number, effect.grace)
        self._stop.ask()

    def _arm_grace(self, effect: lifecycle.ArmGrace) -> None:
        self._stop_timer = self._loop.after(
            effect.seconds, lambda: self.feed(lifecycle.GraceOver())
        )

    def _kill_at_last(self, _effect: lifecycle.KillAtLast) -> None:
        if self._stop is not None:
            self._stop.kill()

    def _give_up(self, _effect: lifecycle.GiveUpRestart) -> None:
        """A stop came between two starts."""
        if self._restart_timer is not None:
            self._restart_timer.cancel()
            self._restart_timer = None
        self._save(monitor_pid=0)
        self._say_exit(self._state.exit_code)
        self._end()

    def _signal_start(self, effect: lifecycle.SignalStart) -> None:
        if self._begun is not None:
            self._begun.signal(effect.number)

    def _signal_program(self, effect: lifecycle.SignalProgram) -> None:
        assert self._launch is not None
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self._launch.pid, effect.number)
            self._note("kill", signal=str(effect.number))

    def _refuse(self, effect: lifecycle.Refuse) -> None:
        raise RuntimeFailure(f"container '{self._spec.name}' is not {effect.wanted}", code=1)

    def _freeze(self, _effect: lifecycle.FreezeProcesses) -> None:
        assert self._launch is not None
        try:
            self._launch.cgroup.freeze()
        except OSError as error:
            raise self._unable("pause", error) from None
        self.feed(lifecycle.Frozen())

    def _thaw(self, _effect: lifecycle.ThawProcesses) -> None:
        assert self._launch is not None
        try:
            self._launch.cgroup.thaw()
        except OSError as error:
            raise self._unable("unpause", error) from None
        self.feed(lifecycle.Thawed())

    def _unable(self, verb: str, error: OSError) -> RuntimeFailure:
        return RuntimeFailure(f"cannot {verb} '{self._spec.name}': {error.strerror}", code=1)

    # -- health

    def _begin_checks(self, _effect: lifecycle.BeginChecks) -> None:
        check = self._spec.healthcheck
        if check is None or not health.is_on(check):
            return
        if self._checks is None:
            from runtime.container.monitor.health_checks import Checks

            self._checks = Checks(self._layout, self._spec, check, self._loop, self._checked)
        self._checks.start(self._state)

    def _end_checks(self, _effect: lifecycle.EndChecks | None = None) -> None:
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
