"""The client of a monitor: this terminal, or these pipes, become the container's.

Raw mode and back, detach keys, window size, signals passed on; frames in both directions.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
import termios

from runtime.linux import pty
from runtime.model import jsontext
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.wire import frames
from supervise.linux import handlerstack
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.store.layout import Layout

_CHUNK = 65536
_SIGWINCH = 28
# What a person at a terminal or a job scheduler sends us is meant for the container.
_PASSED_ON = (1, 2, 3, 10, 12, 15)
DETACHED = -1
BOTH = frozenset({"stdout", "stderr"})


class Ended(Exception):  # noqa: N818 - an end is no error
    """The container has ended, or the client left it: *code*, or DETACHED."""

    def __init__(self, code: int, said: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.said = said or {}


def connect(layout: Layout, container_id: str, name: str) -> _socket.socket:
    """Connect to the monitor of a running container.

    Raises:
        RuntimeFailure: it is not running.
    """
    run = layout.container_run(container_id)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        # By way of a descriptor: a socket's path may have 107 bytes, a directory's 4095.
        directory_fd = os.open(run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{directory_fd}/monitor.sock")
        finally:
            os.close(directory_fd)
    except OSError:
        sock.close()
        raise RuntimeFailure(
            f"container '{name}' is not running", f"runtime start {name}", code=1
        ) from None
    return sock


def request(sock: _socket.socket, verb: str, **arguments: Any) -> dict[str, Any]:
    """Ask the monitor to do *verb*, wait for its answer and return it.

    Raises:
        RuntimeFailure: it cannot, or it ended without an answer.
    """
    reader = frames.FrameReader()
    with suppress(ConnectionResetError, BrokenPipeError):  # it is at its end
        sock.sendall(frames.encode_json(frames.REQUEST, {"do": verb, **arguments}))
        while data := sock.recv(_CHUNK):
            for kind, body in reader.feed(data):
                if kind == frames.REPLY:
                    answer: dict[str, Any] = jsontext.loads(body)
                    return answer
                if kind == frames.FAILED:
                    raise failure(body)
    raise RuntimeFailure("the container's monitor ended without an answer", code=1)


def failure(body: bytes) -> RuntimeFailure:
    """Return what a FAILED frame says."""
    said = jsontext.loads(body)
    return RuntimeFailure(said["message"], said["hint"], said["code"])


def await_start(sock: _socket.socket) -> None:
    """Wait until the container runs; a detached one is then left to itself.

    Raises:
        RuntimeFailure: it does not.
    """
    reader = frames.FrameReader()
    while data := sock.recv(_CHUNK):
        for kind, body in reader.feed(data):
            if kind == frames.STARTED:
                return
            if kind == frames.FAILED:
                raise failure(body)
            if kind == frames.NOTICE:
                os.write(2, _notice(body) + b"\n")
    raise RuntimeFailure("the container's monitor ended before the container ran")


def _notice(body: bytes) -> bytes:
    """Return what a NOTICE frame says as our stderr shows it."""
    return f"runtime: {printable(body.decode(errors='replace'))}".encode()


def parse_keys(text: str) -> bytes:
    """Return the bytes of ``ctrl-p,ctrl-q`` or ``a,b``; see docker attach --detach-keys.

    Raises:
        ValueError: no such key.
    """
    found = bytearray()
    for word in filter(None, text.split(",")):
        if len(word) == 1 and word.isascii():
            found += word.encode()
        elif (
            word.startswith("ctrl-")
            and len(word) == 6
            and word[5] in "abcdefghijklmnopqrstuvwxyz@[\\]^_"
        ):
            found.append(ord(word[5].upper()) & 0x1F)
        else:
            raise ValueError(f"'{word}' is no key: a letter, or ctrl- and one of a-z @ [ \\ ] ^ _")
    return bytes(found)


class Keys:
    """Looks for the detach keys in what is typed; what begins like them waits for the rest."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return (what is to be passed on, whether the sequence is complete)."""
        if not self._sequence:
            return data, False
        out = bytearray()
        for byte in data:
            if byte != self._sequence[self._matched]:
                out += self._sequence[: self._matched]
                self._matched = 0
            if byte == self._sequence[self._matched]:
                self._matched += 1
                if self._matched == len(self._sequence):
                    return bytes(out), True
            else:
                out.append(byte)
        return bytes(out), False


def hold_signals() -> None:
    """Let signals that are for a container wait for its `MonitorClient`: it is about to be started."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED_ON)


class MonitorClient:
    """One attachment, from now to the end or to the detach keys."""

    def __init__(
        self,
        sock: _socket.socket,
        *,
        tty: bool,
        stdin: bool,
        keys: bytes,
        pass_signals: bool = True,
        shown: frozenset[str] = BOTH,
    ) -> None:
        self._sock = sock
        self._tty = tty
        self._stdin = stdin
        self._keys = Keys(keys if tty and stdin else b"")
        self._pass_signals = pass_signals
        self._shown = shown
        self._reader = frames.FrameReader()
        self._out = bytearray()  # to the monitor
        self._poll = select.poll()
        self.started = False

    def run(self) -> Ended:
        """Relay until the end.

        Raises:
            RuntimeFailure: the container could not be started, or its monitor was killed.
        """
        wake_fd = self._take_signals()
        self._sock.settimeout(0.0)
        self._poll.register(self._sock.fileno(), select.POLLIN)
        self._poll.register(wake_fd, select.POLLIN)
        try:
            with RawTerminal(wanted=self._tty and self._stdin):
                self._send_window()
                while True:
                    for fd, events in self._poll.poll():
                        self._ready(fd, events, wake_fd)
        except Ended as ended:
            return ended
        finally:
            self._sock.close()

    def _ready(self, fd: int, events: int, wake_fd: int) -> None:
        if fd == wake_fd:
            self._signalled(os.read(wake_fd, 4096))
        elif fd == 0:
            self._typed()
        else:
            if events & select.POLLOUT:
                self._flush()
            if events & ~select.POLLOUT:
                self._heard()

    def _heard(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        for kind, body in self._reader.feed(data):
            if kind in (frames.STDOUT, frames.STDERR):
                stream, fd = ("stdout", 1) if kind == frames.STDOUT else ("stderr", 2)
                if stream in self._shown:
                    self._show(fd, body)
            elif kind == frames.EXIT:
                said = jsontext.loads(body)
                raise Ended(said["code"], said)
            elif kind == frames.FAILED:
                raise failure(body)
            elif kind == frames.STARTED:
                self.started = True
                if self._stdin:  # not before: a signal must not wait behind what is typed
                    self._poll.register(0, select.POLLIN)
            elif kind == frames.NOTICE:
                self._show(2, _notice(body) + (b"\r\n" if self._tty else b"\n"))
        if not data:
            raise RuntimeFailure("the container's monitor was killed; nothing runs any more")

    def _show(self, fd: int, data: bytes) -> None:
        """Write all of it, however slow the reader: meanwhile the monitor waits for us."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:  # somebody made our terminal non-blocking
                select.select((), (fd,), ())
            except BrokenPipeError:
                # As for any program in a pipeline; the container goes on without a reader.
                raise Ended(128 + 13) from None

    def _typed(self) -> None:
        try:
            data = os.read(0, _CHUNK)
        except OSError:  # EIO: our terminal is gone
            data = b""
        if not data:
            self._poll.unregister(0)
            self._stdin = False
            self._send(frames.encode(frames.CLOSE_STDIN))
            return
        passed, detach = self._keys.feed(data)
        if passed:
            self._send(frames.encode(frames.STDIN, passed))
        if detach:
            raise Ended(DETACHED)

    def _send(self, frame: bytes) -> None:
        self._out += frame
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except BlockingIOError:
            pending = True
        except OSError:  # EPIPE: reading tells why
            self._out.clear()
            pending = False
        else:
            pending = False
        self._poll.modify(self._sock.fileno(), select.POLLIN | (select.POLLOUT if pending else 0))
        if self._stdin and pending:
            with suppress(KeyError):  # it is not being read already
                self._poll.unregister(0)  # do not read what we cannot pass on
        elif self._stdin and self.started:
            self._poll.register(0, select.POLLIN)

    # -- signals and the terminal

    def _take_signals(self) -> int:
        handlerstack.ensure()
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        _signal.signal(_SIGWINCH, _noted)
        for number in _PASSED_ON if self._pass_signals else ():
            _signal.signal(number, _noted)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _PASSED_ON)
        return read_fd

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number == _SIGWINCH:
                self._send_window()
            elif number in _PASSED_ON:
                self._send(frames.encode_json(frames.REQUEST, {"do": "kill", "signal": number}))

    def _send_window(self) -> None:
        if not self._tty:
            return
        for fd in (0, 1, 2):
            try:
                rows, columns = pty.window(fd)
            except OSError:
                continue
            self._send(frames.encode_window(rows, columns))
            return
        self._send(frames.encode_window(0, 0))


class RawTerminal:
    """``with RawTerminal(wanted=…):`` our terminal passes every key on, and is as it was after."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._saved: list[Any] | None = None

    def __enter__(self) -> None:
        if not (self._wanted and os.isatty(0)):
            return
        self._saved = termios.tcgetattr(0)
        raw = termios.tcgetattr(0)
        raw[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        raw[1] &= ~termios.OPOST
        raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(0, termios.TCSADRAIN, raw)

    def __exit__(self, *_error: object) -> None:
        if self._saved is not None:
            with suppress(termios.error):  # hung up: nothing to restore
                termios.tcsetattr(0, termios.TCSADRAIN, self._saved)


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the wake-up descriptor tells the loop."""
