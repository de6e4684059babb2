"""Read pipes in the background, as a container runtime's log driver does."""

from __future__ import annotations

import os
import selectors
import threading


class Drain:
    """Collects what arrives on some descriptors until all writers are gone.

    Owns the descriptors it is given.  `close` may be called while writers are left.
    """

    def __init__(self, owned_fds: dict[str, int]) -> None:
        self._fds = owned_fds  # stream name → read end
        self._received: dict[str, bytearray] = {name: bytearray() for name in owned_fds}
        self._all = bytearray()
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def bytes_of(self, stream: str) -> bytes:
        """Return what *stream* has brought so far."""
        return bytes(self._received[stream])

    def everything(self) -> bytes:
        """Return what all streams have brought, in the order of arrival."""
        return bytes(self._all)

    def join(self, timeout: float) -> bool:
        """Wait until every writer is gone; False when *timeout* seconds were not enough."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop reading and release the descriptors."""
        os.close(self._stop_write)
        self._thread.join()
        os.close(self._stop_read)
        for fd in self._fds.values():
            os.close(fd)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stop_read, selectors.EVENT_READ, None)
            for name, fd in self._fds.items():
                selector.register(fd, selectors.EVENT_READ, name)
            while len(selector.get_map()) > 1:
                for key, _events in selector.select():
                    if key.data is None:
                        return
                    if not self._take(key.data, key.fd):
                        selector.unregister(key.fd)

    def _take(self, name: str, fd: int) -> bool:
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # EIO: the last holder of a terminal's other end is gone
            return False
        self._received[name] += chunk
        self._all += chunk
        return bool(chunk)
