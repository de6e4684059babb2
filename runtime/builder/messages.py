"""What a stage's worker and the builder say to each other over a stream socket.

Frames as `runtime.wire.frames` has them, with kinds of our own.  A step is named by its
number within its stage, 1 being FROM.
"""

from __future__ import annotations

import json
import struct

from runtime.model.errors import RuntimeFailure
from runtime.model.image import image_config as model
from runtime.wire import frames
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from runtime.builder.stage_image import StageImage

STARTED = 1  # {"step", "total", "text"}
OUTPUT = 2  # step, stream (1 | 2), bytes
FINISHED = 3  # {"step", "seconds", "cached"}
WANTED = 4  # {"stage": number} or {"image": name}; answered by ANSWER or REFUSED
RESULT = 5  # a stage's image
FAILED = 6  # {"message", "hint", "code", "line", "step"}
REMARK = 7  # text for a person
ANSWER = 8  # a stage's image
REFUSED = 9  # as FAILED

_OUTPUT = struct.Struct("!IB")
_READ = 1 << 16


class StepOutput(Record):
    """Some bytes that a step's command wrote."""

    step: int
    stream: int  # 1 stdout, 2 stderr
    data: bytes


def encode_started(step: int, total: int, text: str) -> bytes:
    """Return a STARTED frame."""
    return frames.encode_json(STARTED, {"step": step, "total": total, "text": text})


def encode_finished(step: int, seconds: float, cached: bool) -> bytes:  # noqa: FBT001
    """Return a FINISHED frame."""
    said = {"step": step, "seconds": round(seconds, 3), "cached": cached}
    return frames.encode_json(FINISHED, said)


def decode(body: bytes) -> dict[str, Any]:
    """Return what a frame of JSON says."""
    document: dict[str, Any] = json.loads(body)
    return document


def encode_output(step: int, stream: int, data: bytes) -> bytes:
    """Return an OUTPUT frame."""
    return frames.encode(OUTPUT, _OUTPUT.pack(step, stream) + data)


def decode_output(body: bytes) -> StepOutput:
    """Return what an OUTPUT frame says."""
    step, stream = _OUTPUT.unpack_from(body)
    return StepOutput(step, stream, body[_OUTPUT.size :])


def encode_image(kind: int, image: StageImage, *, image_id: str = "") -> bytes:
    """Return a frame with all of a stage's image that another stage may need."""
    document = {
        "config": model.to_json(image.config).decode(),
        "host": image.is_host,
        "scope": image.scope,
        "id": image_id,
    }
    return frames.encode_json(kind, document)


def decode_image(body: bytes) -> tuple[StageImage, str]:
    """Return (image to start or copy from, its id if it is in the store)."""
    from runtime.builder.stage_image import StageImage

    document = json.loads(body)
    scope = tuple((name, value) for name, value in document["scope"])
    image = StageImage(model.from_json(document["config"]), document["host"], scope=scope)
    return image, document["id"]


def encode_failure(kind: int, failure: RuntimeFailure, **more: Any) -> bytes:
    """Return a frame with *failure*."""
    said = {"message": failure.message, "hint": failure.hint, "code": failure.code, **more}
    return frames.encode_json(kind, said)


def decode_failure(body: bytes) -> tuple[RuntimeFailure, dict[str, Any]]:
    """Return the failure and all that was said."""
    said = json.loads(body)
    return RuntimeFailure(said["message"], said["hint"], said["code"]), said


class BuilderChannel:
    """A worker's end: it speaks, and now and then waits for an answer."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._reader = frames.FrameReader()

    def send(self, frame: bytes) -> None:
        """Send one frame.

        Raises:
            BrokenPipeError: the builder is gone.
        """
        self._sock.sendall(frame)

    def ask(self, question: dict[str, Any]) -> tuple[StageImage, str]:
        """Return the answer to WANTED: (image to start or copy from, its id if it is in the store).

        Raises:
            RuntimeFailure: there is none.
            EOFError: the builder has given up.
        """
        self.send(frames.encode_json(WANTED, question))
        kind, body = self._receive()
        if kind == REFUSED:
            raise decode_failure(body)[0]
        return decode_image(body)

    def wait_for_end(self) -> None:
        """Wait until the builder has closed its end: it holds what we made."""
        while self._sock.recv(_READ):
            continue

    def _receive(self) -> tuple[int, bytes]:
        while True:
            data = self._sock.recv(_READ)
            if not data:
                raise EOFError
            for frame in self._reader.feed(data):
                return frame
