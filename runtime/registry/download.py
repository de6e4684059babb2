"""One blob on its way: written to a file as it comes, read from there while it comes.

The file outlives a failure: the next attempt, in this process or another, asks for the rest alone.
The reader checks that the bytes are the right ones; `is_sound` does it for the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading

from runtime.model.contexts import suppress
from runtime.registry.problems import (
    CorruptError,
    RegistryError,
    RegistryUnreachableError,
    StoppedError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.registry.client import RegistryClient
    from runtime.registry.documents import Descriptor
    from runtime.registry.transport import Response, Transport

_SMALL = 1 << 16  # bytes: an attempt that gets fewer made no progress
_LAST_WORDS = 2.0  # seconds, for a thread to see that all is over


class BlobDownload:
    """The blob *descriptor* from the first of *clients* that gives it."""

    def __init__(
        self,
        clients: Sequence[RegistryClient],
        transport: Transport,
        descriptor: Descriptor,
        path: str,
        tell: Callable[[str, int], None],
    ) -> None:
        self.descriptor = descriptor
        self.path = path
        self._clients = clients
        self._transport = transport
        self._tell = tell  # (what it does, bytes there are)
        self._fd = -1
        self._available = 0
        self._failure: BaseException | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._response: Response | None = None
        self._at = 0

    # -- reading

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes in order, none at the end; the first call starts it all.

        Raises:
            RegistryError: no client gave it.
            StoppedError: the pull is over.
            OSError: it cannot be written.
        """
        self._begin()
        with self._changed:
            while self._at >= self._available and not self._ended:
                self._wait()
            if self._at >= self._available and self._failure is not None:
                raise self._failure
            room = self._available - self._at
        data = os.pread(self._fd, min(size, room), self._at)
        self._at += len(data)
        return data

    def is_sound(self) -> bool:
        """Wait for the end and return whether the file is what its digest says."""
        self._begin()
        with self._changed:
            while not self._ended:
                self._wait()
            if self._failure is not None:
                raise self._failure
        return self._digest() == self.descriptor.digest

    def close(self, *, keep: bool) -> None:
        """Close the file; *keep* it for another attempt, or remove it."""
        if not keep:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
        if self._thread is not None:
            self._thread.join(_LAST_WORDS if self._transport.stopped.is_set() else None)
            if self._thread.is_alive():
                return  # it waits for a server that does not answer; it ends with the process
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def wake(self) -> None:
        """Wake reader and writer after the transport was stopped."""
        with self._changed:
            if self._response is not None:
                self._response.shutdown()
            self._changed.notify_all()

    def _wait(self) -> None:
        if self._transport.stopped.is_set():
            raise StoppedError
        self._changed.wait()

    def _digest(self) -> str:
        total = hashlib.sha256()
        offset = 0
        while data := os.pread(self._fd, 1 << 20, offset):
            total.update(data)
            offset += len(data)
        return f"sha256:{total.hexdigest()}"

    # Writing, in a thread of its own.

    def _begin(self) -> None:
        with self._changed:
            if self._thread is None and not self._ended:
                name = f"download-{self.descriptor.digest[7:19]}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._open()
            self._fetch()
        except BaseException as error:  # noqa: BLE001 - raised again by the reader, in its thread
            failure = error
        with self._changed:
            self._failure, self._ended = failure, True
            self._changed.notify_all()

    def _open(self) -> None:
        """Open the file under a lock; another pull of the same blob is waited for."""
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self._tell("Waiting", 0)
                self._transport.wait(0.1)
        size = os.fstat(self._fd).st_size
        if size > self.descriptor.size:
            os.ftruncate(self._fd, 0)
            size = 0
        self._add(size)

    def _fetch(self) -> None:
        problems: list[RegistryError] = []
        for client in self._clients:
            try:
                self._fetch_from(client)
            except RegistryError as error:
                problems.append(error)
            else:
                return
        raise problems[0]

    def _fetch_from(self, client: RegistryClient) -> None:
        """Fetch the missing bytes from *client*, in as many attempts as that takes.

        Raises:
            RegistryError: it does not.
        """
        patience = self._transport.patience
        attempt = 0
        while self._available < self.descriptor.size:
            before = self._available
            self._response = client.blob(self.descriptor.digest, before, self._say)
            try:
                self._receive(self._response, before)
            except RegistryUnreachableError as error:
                attempt = 1 if self._available - before >= _SMALL else attempt + 1
                if attempt >= patience.attempts or error.is_final:
                    raise
                pause = min(patience.pause * 2.0 ** (attempt - 1), patience.longest_pause)
                self._say(f"{error.reason}; again in {pause:.0f} s")
                self._transport.wait(pause)

    def _say(self, text: str) -> None:
        self._tell(f"Retrying: {text}", self._available)

    def _receive(self, response: Response, offset: int) -> None:
        skip = 0
        if offset and response.status != 206:
            skip = offset  # the server ignores ranges and begins at the start
        elif offset and not response.headers.get("content-range", "").startswith(
            f"bytes {offset}-"
        ):
            response.close()
            raise RegistryUnreachableError("it sent another range than was asked for")
        for received in response.chunks():
            if self._transport.stopped.is_set():
                response.close()
                raise StoppedError
            chunk = received[skip:] if skip else received
            skip = max(0, skip - len(received))
            if self._available + len(chunk) > self.descriptor.size:
                response.close()
                raise CorruptError(f"it sent more than the {self.descriptor.size} bytes there are")
            self._write(chunk)
        if self._available < self.descriptor.size:
            missing = self.descriptor.size - self._available
            raise RegistryUnreachableError(f"the connection was cut {missing} bytes before the end")

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            count = os.pwrite(self._fd, view, self._available)
            view = view[count:]
            self._add(count)

    def _add(self, count: int) -> None:
        with self._changed:
            self._available += count
            self._changed.notify_all()
        self._tell("Downloading", self._available)
