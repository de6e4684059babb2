"""PID 1 from argv to exit code: boot order and wiring.

The order is the point: signals are held before this is imported; the loader's child is forked as
early as it can be, and what else PID 1 needs is imported while that reads the configuration.
"""

from __future__ import annotations

import os

from supervise.daemon import options
from supervise.daemon.loop import Loop
from supervise.linux import descriptors, handlerstack, signal_actions
from supervise.model.errors import ConfigError
from supervise.model.exitstatus import BAD_CONFIGURATION, INTERNAL_FAULT
from supervise.model.service import Plan
from supervise.model.signals import SIGNALS, SIGRTMIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.daemon.init import Init

USAGE = 2
_SIGCHLD = SIGNALS["SIGCHLD"]
_ENDS = frozenset(
    {*(SIGNALS[f"SIG{name}"] for name in ("TERM", "INT", "QUIT", "PWR")), SIGRTMIN + 3}
)
# Between two tries to fork the loader.
_LOADER_PAUSE = 0.5  # seconds
# A loop that fails this often in a row is beyond help.
_FAULTS_IN_A_ROW = 100


def run(words: list[str], early: list[int]) -> int:
    """Be the init that *words* ask for; *early* holds the signals that came already.

    Does not return when it has run services: the interpreter's own end would only take time.
    """
    try:
        asked = options.parse(words)
    except options.UsageError as error:
        _say(f"supervise: {error}")
        return USAGE
    if asked.show:
        return _show(asked.show)
    # Before anything else is opened: it would become somebody's standard output.
    descriptors.open_missing_stdio()
    try:
        boot = Boot(asked)
    except OSError as error:  # without epoll and a pipe there is no loop
        _say(f"supervise: cannot make the event loop: {error.strerror} (does a sandbox forbid it?)")
        return INTERNAL_FAULT
    # Nothing of ours is in sys.stdout, which is None where the descriptor was closed.
    os._exit(boot.run(early))


def _show(what: str) -> int:
    if what == "help":
        _write(1, options.USAGE)
        return 0
    from supervise import __version__
    from supervise.linux import machine

    rows = "".join(f"{name + ':':<19}{value}\n" for name, value in machine.facts())
    _write(1, f"supervise {__version__}\n{rows}")
    return 0


def _say(text: str) -> None:
    """Write a line to stderr before there is a console."""
    _write(2, f"{text}\n")


def _write(fd: int, text: str) -> None:
    """Write *text* as it is; a closed descriptor is no reason to fail."""
    try:
        os.write(fd, text.encode(errors="replace"))
    except OSError:
        return


class Boot:
    """From nothing to a running init, and its end."""

    def __init__(self, asked: options.BootOptions) -> None:
        self._asked = asked
        self._loop = Loop(self._fault)
        self._init: Init | None = None
        self._exit_code: int | None = None
        self._notices: list[str] = []
        self._ready_plan: Plan | None = None
        self._compiled: str | None = None  # the file that plan was read from

    def run(self, early: list[int]) -> int:
        """Boot, work until the end, and return the exit code."""
        self._make_room_for_handlers()
        self._loop.take_signals(signal_actions.catchable(), self._signal)
        signal_actions.unblock_all()
        while early:
            self._loop.note_signal(early.pop(0))
        self._working_dir = _working_dir()
        self._plan_or_loading()
        from supervise.daemon import init

        self._init = init.Init(self._loop, self._asked, self._working_dir, self._notices)
        if self._ready_plan is not None:
            self._bring_up(self._ready_plan)
        if self._exit_code is None:
            self._work()
        return self._finish()

    def _make_room_for_handlers(self) -> None:
        try:
            handlerstack.ensure()
        except (OSError, ImportError) as error:  # ImportError: a Python without ctypes
            self._notices.append(
                f"cannot make room for signal handlers: {error}; "
                f"twenty different signals at once may end this process"
            )

    def _plan_or_loading(self) -> None:
        """Take the plan that needs no YAML, else start the loader."""
        if self._asked.alone:
            self._ready_plan = Plan()
            return
        paths = list(self._asked.config) or None
        from supervise.config import compiled

        self._ready_plan, why_not = compiled.load_compiled(paths, os.environ, self._working_dir)
        if why_not:
            self._notices.append(why_not)
        if self._ready_plan is None:
            self._load(paths)
        else:
            self._notices += compiled.remarks(self._ready_plan)
            self._compiled = compiled.path_for(paths, os.environ, self._working_dir)

    def _load(self, paths: list[str] | None, *, again: bool = False) -> None:
        """Start the loader; without room for another process try until there is."""
        from supervise.daemon.configuration import Loading

        try:
            Loading(
                self._loop,
                paths,
                environ=os.environ,
                working_dir=self._working_dir,
                done=self._loaded,
                warn=self._notices.append,
            )
        except OSError as error:
            if not again:
                _say(
                    f"supervise: cannot read the configuration yet: {error.strerror} (is a limit "
                    f"on processes, memory or descriptors reached?); trying until there is room"
                )
            self._loop.call_later(_LOADER_PAUSE, lambda: self._load(paths, again=True))

    def _loaded(self, found: Plan | ConfigError) -> None:
        if self._exit_code is not None:
            return  # a signal has ended the boot in this very turn: nothing may start now
        if isinstance(found, ConfigError):
            for problem in found.problems:
                _say(str(problem))
            self._exit_code = BAD_CONFIGURATION
            self._loop.stop()
            return
        self._bring_up(found)

    def _bring_up(self, plan: Plan) -> None:
        assert self._init is not None
        try:
            self._init.start(plan, compiled=self._compiled)
        except Exception as error:  # noqa: BLE001 - what has come up goes on
            self._fault("boot", error)
            if not self._init.running:
                self._exit_code = INTERNAL_FAULT
                self._loop.stop()
        # Children that ended during the boot, the loader's among them, have had their SIGCHLD.
        self._loop.note_signal(_SIGCHLD)

    def _signal(self, number: int) -> None:
        if self._init is not None and self._init.running:
            self._init.signalling.receive(number)
        elif number in _ENDS:  # before there is anything to stop
            self._exit_code = self._code_of_a_boot_ended_by(number)
            self._loop.stop()

    def _code_of_a_boot_ended_by(self, number: int) -> int:
        """Return what the main command would have ended with, had it been there already."""
        if not self._asked.command:
            return 0
        return dict(self._asked.remap_exit).get(128 + number, 128 + number)

    def _work(self) -> None:
        """Run the loop until it is told to stop, whatever it meets."""
        faults = 0
        while True:
            try:
                self._loop.run()
            except Exception as error:  # noqa: BLE001 - PID 1 does not die of an exception
                faults += 1
                self._fault("loop", error)
                if faults < _FAULTS_IN_A_ROW:
                    continue
                self._exit_code = INTERNAL_FAULT
            return

    def _finish(self) -> int:
        if self._init is not None and self._init.running:
            code = self._init.finish()
            return code if self._exit_code is None else self._exit_code
        return self._exit_code or 0

    def _fault(self, owner: str, error: Exception) -> None:
        from supervise.daemon.events import fault

        announcement = fault(owner, error)
        if self._init is not None:
            self._init.events.announce(announcement)
        else:
            _say(str(announcement.fields["traceback"]))


def _working_dir() -> str:
    """Return where we were started, and leave it: PID 1 must not keep a mount busy."""
    try:
        here = os.getcwd()
        os.chdir("/")
    except OSError:  # it was removed, or we may not enter it
        return "/"
    return here
