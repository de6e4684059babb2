"""`attach`: this terminal, or these pipes, become a running container's."""

from __future__ import annotations

from runtime.cli.containers import lookup
from runtime.container import attach as client
from runtime.language.commandline import Verb
from runtime.model.container import statuses
from runtime.model.errors import RuntimeFailure
from runtime.store import events
from runtime.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout

ATTACH = Verb(
    "attach",
    "CONTAINER",
    "Connect this terminal to a running container",
    """
      --detach-keys string   Keys that leave it running (default ctrl-p,ctrl-q)
      --no-stdin             Only show its output
      --sig-proxy            Pass signals on to it (default true)
""",
    least=1,
    most=1,
)


def attach(layout: Layout, words: Arguments) -> int:
    """Stay with a container until it ends or is left; returns its exit code."""
    spec, state = lookup.running(layout, words.operands[0])
    return stay(layout, words, spec, state, stdin=not words.flag("no-stdin"))


def stay(layout: Layout, words: Arguments, spec: Spec, state: State, *, stdin: bool) -> int:
    """Attach to a running container, with our stdin if it keeps one open and *stdin* says so."""
    if state.status == statuses.PAUSED:
        raise RuntimeFailure(
            f"container '{spec.name}' is paused", f"runtime unpause {spec.name}", code=1
        )
    stdin = spec.interactive and stdin
    sock = client.connect(layout, spec.id, spec.name)
    events.of_container(layout, spec, "attach")
    sock.sendall(frames.encode_json(frames.ATTACH, {"stdin": stdin, "output": True}))
    ended = client.MonitorClient(
        sock,
        tty=spec.tty,
        stdin=stdin,
        keys=detach_keys(words, spec.detach_keys),
        pass_signals=words.flag("sig-proxy", default=True),
    ).run()
    return 0 if ended.code == client.DETACHED else ended.code


def detach_keys(words: Arguments, default: str, *, code: int = 1) -> bytes:
    """Return the bytes of ``--detach-keys``, else of *default*; *code* ends the command if wrong."""
    try:
        return client.parse_keys(words.text("detach-keys", default))
    except ValueError as error:
        raise RuntimeFailure(f"--detach-keys: {error}", code=code) from None
