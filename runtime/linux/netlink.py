"""Netlink framing: messages and attributes to bytes, a socket that sends a batch and reads answers.

What the messages mean is `rtnetlink`'s, `nft`'s and `conntrack`'s business.  Written by hand
because importing PyPI's pyroute2 takes 136 ms and 21 MB; there it is the oracle in the tests.
See netlink(7), include/uapi/linux/netlink.h.
"""

from __future__ import annotations

import _socket as socket
import os
import struct

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

ROUTE = 0
NETFILTER = 12

NLM_F_REQUEST = 0x01
NLM_F_ACK = 0x04
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10  # an acknowledgement does not repeat the request
_NETLINK_EXT_ACK = 11  # an error comes with the kernel's own sentence
_NETLINK_GET_STRICT_CHK = 12  # a dump honours the filter in its request

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_LARGEST_ANSWER = 1 << 18  # the kernel fills dumps in pieces of at most 32 KiB


class NetlinkMessage(Record):
    """One request; *purpose* says what it is for, should the kernel refuse it."""

    type: int
    flags: int  # besides NLM_F_REQUEST
    body: bytes
    purpose: str  # "add link 'eth0'"


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes as the next must be aligned."""
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def number(kind: int, value: int) -> bytes:
    """Return one attribute with an unsigned 32-bit value."""
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    """Return one attribute with a NUL-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *inner: bytes) -> bytes:
    """Return one attribute that holds others."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes in *data*, type → value; of a repeated type the last."""
    return dict(_walk(data))


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            return
        yield kind & _NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


class Socket:
    """A netlink socket of the network namespace in which it was opened, wherever we go after."""

    def __init__(self, protocol: int = ROUTE) -> None:
        """Open it.

        Raises:
            OSError: EPROTONOSUPPORT: the kernel has no such subsystem.
        """
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        self._sequence = 0
        self._socket.bind((0, 0))
        options = [_NETLINK_CAP_ACK, _NETLINK_EXT_ACK]
        if protocol == ROUTE:
            options.append(_NETLINK_GET_STRICT_CHK)
        for option in options:
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it. Idempotent."""
        self._socket.close()

    def run(self, *messages: NetlinkMessage) -> None:
        """Carry out *messages* in order: one send, one acknowledgement each.

        The kernel does not stop at the first that fails.

        Raises:
            OSError: the first refusal, with the kernel's errno and its sentence if it gave one;
                EPERM without CAP_NET_ADMIN.
        """
        first = self._send(messages, NLM_F_ACK)
        waiting = len(messages)
        refused: OSError | None = None
        while waiting:
            for kind, flags, sequence, body in self._receive():
                if kind != _NLMSG_ERROR or sequence < first:
                    continue
                waiting -= 1
                error = _refusal(body, flags, messages[sequence - first].purpose)
                refused = refused or error
        if refused:
            raise refused

    def transact(
        self, begin: NetlinkMessage, messages: Sequence[NetlinkMessage], end: NetlinkMessage
    ) -> None:
        """Carry out all of *messages* or none, between the two that mark a batch of nfnetlink.

        Raises:
            OSError: the first refusal; EPERM without CAP_NET_ADMIN.
        """
        asking = [message.replace(flags=message.flags | NLM_F_ACK) for message in messages]
        first = self._send([begin, *asking, end], 0)
        waiting = len(messages)
        refused: OSError | None = None
        while waiting and refused is None:
            for kind, flags, sequence, body in self._receive():
                if kind == _NLMSG_ERROR and sequence >= first:
                    waiting -= 1
                    about = begin if sequence == first else messages[sequence - first - 1]
                    refused = refused or _refusal(body, flags, about.purpose)
        if refused:
            raise refused

    def get(self, message: NetlinkMessage) -> bytes:
        """Return the body of the one answer to *message*.

        Raises:
            OSError: ENODEV or ENOENT: there is no such object; else as `run`.
        """
        first = self._send([message], 0)
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != first:
                    continue
                if kind != _NLMSG_ERROR:
                    return body
                error = _refusal(body, flags, message.purpose)
                assert error is not None  # no acknowledgement was asked for
                raise error

    def dump(self, message: NetlinkMessage) -> list[bytes]:
        """Return the bodies of all answers to *message*.

        Raises:
            OSError: as `run`.
        """
        first = self._send([message], NLM_F_DUMP)
        found: list[bytes] = []
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != first:
                    continue
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR and (error := _refusal(body, flags, message.purpose)):
                    raise error
                found.append(body)

    def _send(self, messages: Sequence[NetlinkMessage], flags: int) -> int:
        """Send *messages* at once and return the sequence number of the first."""
        first = self._sequence + 1
        packet = bytearray()
        for message in messages:
            self._sequence += 1
            length = _HEADER.size + len(message.body)
            packet += _HEADER.pack(
                length, message.type, NLM_F_REQUEST | flags | message.flags, self._sequence, 0
            )
            packet += message.body + b"\0" * (-length % 4)
        self._socket.send(packet)
        return first

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        """Return the messages of one datagram as (type, flags, sequence, body)."""
        data = self._socket.recv(_LARGEST_ANSWER)
        found, offset = [], 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            found.append((kind, flags, sequence, data[offset + _HEADER.size : offset + length]))
            offset += (length + 3) & ~3
        return found


def _refusal(body: bytes, flags: int, purpose: str) -> OSError | None:
    """Return the error in an acknowledgement, None when it is a plain yes."""
    code = -struct.unpack_from("=i", body)[0]
    if not code:
        return None
    reason = os.strerror(code)
    if flags & _NLM_F_ACK_TLVS:
        # The header of the request is repeated, the rest of it only when not capped.
        repeated = _HEADER.size
        if not flags & _NLM_F_CAPPED:
            repeated = struct.unpack_from("=I", body, 4)[0]
        said = attributes(body[4 + repeated :]).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0")
        if said:
            reason += f" ({said.decode(errors='replace')})"
    return OSError(code, f"cannot {purpose}: {reason}")
