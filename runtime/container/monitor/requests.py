"""What clients say to a monitor, frame by frame, and what they are answered."""

from __future__ import annotations

from runtime.model import jsontext
from runtime.model.container import lifecycle
from runtime.model.errors import RuntimeFailure
from runtime.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from runtime.container.monitor.peer import Peer
    from supervise.model.record import Record

    class Asked(Protocol):
        """What requests are carried out by: the monitor."""

        def feed(self, event: Record) -> None:
            """Let it change the container's life."""
            ...

        def feed_input(self, peer: Peer, data: bytes) -> None:
            """Pass on what *peer* typed."""
            ...

        def close_input(self, peer: Peer) -> None:
            """Let the program read to the end."""
            ...

        def resize(self, rows: int, columns: int) -> None:
            """Take a terminal's size."""
            ...

        def attach(self, peer: Peer, *, output: bool, stdin: bool) -> None:
            """Let *peer* see the output."""
            ...

        def await_end(self, peer: Peer) -> None:
            """Let *peer* hear of the end."""
            ...

        def drop(self, peer: Peer) -> None:
            """Let *peer* go."""
            ...

        def stop(self, asked: dict[str, Any]) -> None:
            """Stop the container."""
            ...

        def is_starting(self) -> bool:
            """Return whether the program is not running yet."""
            ...

        def reload(self) -> None:
            """Take over a changed spec."""
            ...

        def take_endpoints(self, endpoints: list[dict[str, Any]]) -> bool:
            """Return whether they were taken over."""
            ...


class Requests:
    """Reads the frames of one monitor's clients."""

    def __init__(self, monitor: Asked) -> None:
        self._monitor = monitor

    def frame(self, peer: Peer, kind: int, body: bytes) -> None:
        """Do what a client says."""
        monitor = self._monitor
        try:
            if kind == frames.STDIN:
                monitor.feed_input(peer, body)
            elif kind == frames.CLOSE_STDIN:
                monitor.close_input(peer)
            elif kind == frames.RESIZE:
                monitor.resize(*frames.decode_window(body))
            elif kind == frames.ATTACH:
                wanted = jsontext.loads(body)
                output, stdin = bool(wanted.get("output")), bool(wanted.get("stdin"))
                monitor.attach(peer, output=output, stdin=stdin)
            elif kind == frames.REQUEST:
                self._request(peer, jsontext.loads(body))
        except RuntimeFailure as failure:
            said = {"message": failure.message, "hint": failure.hint, "code": failure.code}
            peer.send(frames.encode_json(frames.FAILED, said))
        except (ValueError, TypeError, AttributeError, KeyError):  # no client of ours says that
            monitor.drop(peer)

    def _request(self, peer: Peer, asked: dict[str, Any]) -> None:
        monitor, verb = self._monitor, asked["do"]
        answer: dict[str, Any] = {}
        if verb == "stop":
            monitor.await_end(peer)
            monitor.stop(asked)
            return  # the end is the answer
        if verb == "wait":
            monitor.await_end(peer)
            return
        if verb == "kill":
            monitor.feed(lifecycle.KillAsked(int(asked["signal"])))
        elif verb == "starting":
            answer["starting"] = monitor.is_starting()
        elif verb == "pause":
            monitor.feed(lifecycle.PauseAsked())
        elif verb == "unpause":
            monitor.feed(lifecycle.UnpauseAsked())
        elif verb == "reload":
            monitor.reload()
        elif verb != "endpoints" or not monitor.take_endpoints(asked["endpoints"]):
            raise RuntimeFailure(f"this monitor cannot '{verb}': it is of another version", code=1)
        peer.send(frames.encode_json(frames.REPLY, answer))
