"""Varlink's transport: bytes to messages and back, for a server and for a client.

Sans-I/O: `Frames` cuts a byte stream at the NUL bytes, `decode_call` and `decode_reply` read a
message, the `encode_*` functions write one with its NUL.  What the messages mean is in
`supervise.wire.api`; who may say them is `supervise.daemon.control.connection`'s affair.
https://varlink.org/Wire-Protocol
"""

from __future__ import annotations

import json

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

MAX_MESSAGE = 1024 * 1024  # bytes
MAX_VALUES = 32_768  # in one call; a decoded value costs up to 80 bytes where its text costs 3

SERVICE_INTERFACE = "org.varlink.service"
INTERFACE_NOT_FOUND = f"{SERVICE_INTERFACE}.InterfaceNotFound"
METHOD_NOT_FOUND = f"{SERVICE_INTERFACE}.MethodNotFound"
INVALID_PARAMETER = f"{SERVICE_INTERFACE}.InvalidParameter"
EXPECTED_MORE = f"{SERVICE_INTERFACE}.ExpectedMore"


class ProtocolError(Exception):
    """The peer does not speak Varlink; the connection cannot be used any more."""


class Call(Record):
    """One request."""

    method: str  # qualified: org.varlink.service.GetInfo
    parameters: Mapping[str, Any] = {}
    more: bool = False  # the caller takes several replies
    oneway: bool = False  # the caller wants no reply
    upgrade: bool = False  # the caller wants to leave Varlink after the reply

    @property
    def interface(self) -> str:
        """Return the method's interface, such as ``org.varlink.service``."""
        return self.method.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Return the method's own name, such as ``GetInfo``."""
        return self.method.rpartition(".")[2]


class Reply(Record):
    """One answer; *error* is a qualified error name, or None."""

    parameters: Mapping[str, Any] = {}
    continues: bool = False  # another reply to the same call follows
    error: str | None = None


class Frames:
    """Cuts a byte stream into messages.

    Holds at most *limit* bytes of an unfinished message beside what one `feed` brought.
    """

    __slots__ = ("_buffer", "_limit", "_searched")

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._searched = 0  # bytes at the front known to hold no NUL

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer += data

    def next(self) -> bytes | None:
        """Return the next whole message without its NUL, None if there is none yet.

        Raises:
            ProtocolError: a message is longer than the limit.
        """
        end = self._buffer.find(0, self._searched)
        if end < 0:
            self._searched = len(self._buffer)
        if max(end, self._searched) > self._limit:
            raise ProtocolError(f"a message is longer than {self._limit} bytes")
        if end < 0:
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return message


def decode_call(message: bytes) -> Call:
    """Return the call in *message*.

    Raises:
        ProtocolError: it is no JSON object, is too deeply nested, holds more than `MAX_VALUES`
            values, or has no method.
    """
    # Counting bytes is cheap; it bounds what json.loads may build from a hostile megabyte.
    if sum(map(message.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ProtocolError(f"a call holds more than {MAX_VALUES} values")
    fields = _decode(message)
    method = fields.get("method")
    if not isinstance(method, str):
        raise ProtocolError("a call names no method")
    parameters = fields.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise ProtocolError("the parameters of a call are no object")
    flags = [fields.get(name) for name in ("more", "oneway", "upgrade")]
    if not all(isinstance(flag, bool | None) for flag in flags):
        raise ProtocolError("a flag of a call is neither true nor false")
    return Call(method, parameters, *map(bool, flags))


def decode_reply(message: bytes) -> Reply:
    """Return the reply in *message*; raises ProtocolError if it is not a reply."""
    fields = _decode(message)
    parameters, error = fields.get("parameters"), fields.get("error")
    if not isinstance(parameters, dict | None) or not isinstance(error, str | None):
        raise ProtocolError("a reply has parameters or an error of the wrong type")
    return Reply(parameters or {}, bool(fields.get("continues")), error)


def encode_call(call: Call) -> bytes:
    """Return *call* as it goes over the wire."""
    fields: dict[str, Any] = {"method": call.method}
    if call.parameters:
        fields["parameters"] = call.parameters
    for flag in ("more", "oneway", "upgrade"):
        if getattr(call, flag):
            fields[flag] = True
    return _encode(fields)


def encode_reply(parameters: Mapping[str, Any], *, continues: bool = False) -> bytes:
    """Return a successful reply as it goes over the wire."""
    fields: dict[str, Any] = {"parameters": parameters}
    if continues:
        fields["continues"] = True
    return _encode(fields)


def encode_error(error: str, parameters: Mapping[str, Any]) -> bytes:
    """Return the reply that refuses a call with *error*, a qualified name."""
    return _encode({"error": error, "parameters": parameters})


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# ensure_ascii would send a lone surrogate as \udcXX, which strict peers refuse; see _encode.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
)
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _encode(fields: dict[str, Any]) -> bytes:
    return _ENCODER.encode(fields).encode("utf-8", "replace") + b"\0"


def _decode(message: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(message.decode())
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise ProtocolError(f"a message is no JSON: {error}") from None
    except RecursionError:  # the C scanner counts its depth, so the stack is safe
        raise ProtocolError("a message is nested too deeply") from None
    if not isinstance(value, dict):
        raise ProtocolError("a message is no JSON object")
    return value
