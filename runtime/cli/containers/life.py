"""`start`, `stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rename`: a container's life."""

from __future__ import annotations

import sys

from runtime.cli import output
from runtime.cli.containers import lookup
from runtime.container import attach, heal
from runtime.container.monitor import forking
from runtime.language.commandline import Verb
from runtime.linux import locks
from runtime.model.container import statuses
from runtime.model.errors import RuntimeFailure
from runtime.store import events
from runtime.store.containers import Containers
from supervise.model.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout

_SOME = "CONTAINER [CONTAINER...]"
_SIGKILL = 9
_STOPPING = """
  -s, --signal string   Signal to send (default what the image or --stop-signal says)
  -t, --time, --timeout int
                        Seconds to wait before killing it (default 10, or --stop-timeout)
"""

START = Verb(
    "start",
    _SOME,
    "Start stopped containers",
    """
  -a, --attach               Show its output and pass signals on to it
      --detach-keys string   Keys that leave it running (default ctrl-p,ctrl-q)
  -i, --interactive          Pass our stdin on to it
""",
    least=1,
)
STOP = Verb("stop", _SOME, "Stop running containers: signal, grace, kill", _STOPPING, least=1)
RESTART = Verb("restart", _SOME, "Stop containers and start them again", _STOPPING, least=1)
KILL = Verb(
    "kill",
    _SOME,
    "Send a signal to the first process of containers",
    """
  -s, --signal string   Signal to send (default KILL)
""",
    least=1,
)
PAUSE = Verb("pause", _SOME, "Freeze all processes of containers", least=1)
UNPAUSE = Verb("unpause", _SOME, "Let frozen containers go on", least=1)
WAIT = Verb("wait", _SOME, "Wait for containers to end and print their exit codes", least=1)
RENAME = Verb("rename", "CONTAINER NAME", "Give a container another name", least=2, most=2)


def start(layout: Layout, words: Arguments) -> int:
    """Start containers; with --attach or --interactive one, and stay with it."""
    if words.flag("attach") or words.flag("interactive"):
        if len(words.operands) > 1:
            raise RuntimeFailure("cannot attach to several containers: name one", code=1)
        return _start_attached(layout, words)
    return output.each(words.operands, lambda name: _start(layout, name))


def _start(layout: Layout, name: str) -> None:
    spec, state = lookup.one(layout, name)
    if state.status not in statuses.ALIVE:
        start_detached(layout, spec)
    output.say(name)


def start_detached(layout: Layout, spec: Spec) -> None:
    """Start a container that does not run, and leave it to itself."""
    _refuse_starting(layout, spec)
    await_monitor(layout, spec.id)
    attach.await_start(forking.spawn(layout, spec.replace(detached=True)))


def _start_attached(layout: Layout, words: Arguments) -> int:
    from runtime.cli.containers import attaching

    spec, state = lookup.one(layout, words.operands[0])
    keys = attaching.detach_keys(words, spec.detach_keys)
    stdin = words.flag("interactive") and spec.interactive
    if state.status in statuses.ALIVE:
        return attaching.stay(layout, words, spec, state, stdin=stdin)
    _refuse_starting(layout, spec)
    await_monitor(layout, spec.id)
    attach.hold_signals()
    sock = forking.spawn(layout, spec.replace(detached=False))
    ended = attach.MonitorClient(sock, tty=spec.tty, stdin=stdin, keys=keys).run()
    return 0 if ended.code == attach.DETACHED else ended.code


def stop(layout: Layout, words: Arguments) -> int:
    """Stop containers; returns when each has ended."""
    signal, timeout = _how_to_stop(words)

    def stop_one(name: str) -> None:
        spec, state = lookup.one(layout, name)
        if state.status in statuses.ALIVE or is_starting(layout, spec):
            stop_running(layout, spec, signal, timeout)
        output.say(name)

    return output.each(words.operands, stop_one)


def stop_running(
    layout: Layout, spec: Spec, signal: int | None, timeout: int | None, *, quiet: bool = False
) -> None:
    """Ask the monitor to stop the container, say what it had to do, wait until all is undone."""
    try:
        sock = attach.connect(layout, spec.id, spec.name)
        said = attach.request(sock, "stop", signal=signal, timeout=timeout)
        sock.close()
    except RuntimeFailure:
        if _is_alive(layout, spec):
            raise
        said = {}  # it ended meanwhile: that was the goal
    message = (said.get("stop") or {}).get("message")
    if message and not quiet and timeout != 0:
        sys.stdout.flush()
        sys.stderr.write(f"runtime: {spec.name}: {message}\n")
    await_monitor(layout, spec.id)


def _is_alive(layout: Layout, spec: Spec) -> bool:
    return Containers(layout).look(spec.id)[1].status in statuses.ALIVE


def is_starting(layout: Layout, spec: Spec) -> bool:
    """Return whether the container is being started; wait for a monitor that is at its end."""
    if not heal.is_alive(layout, spec.id):
        return False
    try:
        return bool(ask(layout, spec, "starting")["starting"])
    except RuntimeFailure:  # it has ended
        return False


def _refuse_starting(layout: Layout, spec: Spec) -> None:
    if is_starting(layout, spec):
        raise RuntimeFailure(
            f"container '{spec.name}' is being started already",
            f"runtime kill {spec.name} ends a start that hangs",
            code=1,
        )


def await_monitor(layout: Layout, container_id: str) -> None:
    """Wait until a monitor that is about to end has cleared up; none is fine."""
    try:
        lock = locks.lock_existing(f"{layout.container_run(container_id)}/{heal.ALIVE}")
    except (FileNotFoundError, NotADirectoryError):
        return
    assert lock is not None  # it waited
    lock.release()


def _how_to_stop(words: Arguments) -> tuple[int | None, int | None]:
    """Return (signal, seconds), None where the container's own are to be used."""
    signal = _signal(words.text("signal")) if words.given("signal") else None
    return signal, words.number("timeout") if words.given("timeout") else None


def _signal(text: str) -> int:
    number = signal_number(text)
    if number is None:
        raise RuntimeFailure(f"invalid signal: {text}", "such as TERM, SIGINT or 15", code=1)
    return number


def restart(layout: Layout, words: Arguments) -> int:
    """Stop containers, those that run, and start them."""
    signal, timeout = _how_to_stop(words)

    def restart_one(name: str) -> None:
        spec, state = lookup.one(layout, name)
        if state.status in statuses.ALIVE or is_starting(layout, spec):
            stop_running(layout, spec, signal, timeout)
        start_detached(layout, spec)
        events.of_container(layout, spec, "restart")
        output.say(name)

    return output.each(words.operands, restart_one)


def kill(layout: Layout, words: Arguments) -> int:
    """Send a signal; after KILL wait for the end."""
    number = _signal(words.text("signal", "KILL"))

    def kill_one(name: str) -> None:
        spec, _ = lookup.one(layout, name)
        if not is_starting(layout, spec):
            spec, _ = lookup.running(layout, name)
        kill_running(layout, spec, number)
        output.say(name)

    return output.each(words.operands, kill_one)


def kill_running(layout: Layout, spec: Spec, number: int = _SIGKILL) -> None:
    """Send a signal to a running container, and wait for its end when it is SIGKILL."""
    sock = attach.connect(layout, spec.id, spec.name)
    attach.request(sock, "kill", signal=number)
    sock.close()
    if number == _SIGKILL and spec.restart.mode == "no":
        await_monitor(layout, spec.id)


def pause(layout: Layout, words: Arguments) -> int:
    """Freeze containers."""
    return output.each(words.operands, lambda name: _ask(layout, name, "pause"))


def unpause(layout: Layout, words: Arguments) -> int:
    """Let frozen containers go on."""
    return output.each(words.operands, lambda name: _ask(layout, name, "unpause"))


def _ask(layout: Layout, name: str, verb: str) -> None:
    spec, _ = lookup.running(layout, name)
    ask(layout, spec, verb)
    output.say(name)


def ask(layout: Layout, spec: Spec, verb: str, **arguments: Any) -> dict[str, Any]:
    """Have the monitor of a running container do something, and return its answer."""
    sock = attach.connect(layout, spec.id, spec.name)
    try:
        return attach.request(sock, verb, **arguments)
    finally:
        sock.close()


def wait(layout: Layout, words: Arguments) -> int:
    """Print the exit code of each container when it has ended."""
    return output.each(words.operands, lambda name: output.say(str(_exit_code(layout, name))))


def _exit_code(layout: Layout, name: str) -> int:
    spec, state = lookup.one(layout, name)
    if state.status not in statuses.ALIVE and not is_starting(layout, spec):
        return state.exit_code
    try:
        code: int = ask(layout, spec, "wait")["code"]
    except RuntimeFailure:
        _, state = Containers(layout).look(spec.id)
        if state.status in statuses.ALIVE:
            raise
        return state.exit_code  # it ended before we could ask
    return code


def rename(layout: Layout, words: Arguments) -> int:
    """Give a container another name."""
    spec, state = lookup.one(layout, words.operands[0])
    try:
        Containers(layout).rename(spec.id, words.operands[1])
    except RuntimeFailure as failure:
        failure.code = 1
        raise
    if state.status in statuses.ALIVE:
        ask(layout, spec, "reload")
    return 0
