"""One blob on its way to a registry: in one request or several, continued after a failure.

The protocol: POST opens a session and says where, PATCH adds to it, PUT with the digest ends it.
After a failure a GET tells how much the registry has.
"""

from __future__ import annotations

import os
from urllib.parse import quote

from runtime.registry.client import refusal
from runtime.registry.problems import MissingError, RegistryError, RegistryUnreachableError
from runtime.registry.transport import join
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.registry.client import RegistryClient
    from runtime.registry.transport import Response

_SESSIONS = 3  # opened for one blob, before we give up
_BYTES = {"Content-Type": "application/octet-stream"}


class Part:
    """Some bytes of a file as the body of a request, read again for every attempt."""

    def __init__(self, fd: int, offset: int, size: int, tell: Callable[[int], None]) -> None:
        self.size = size
        self._fd = fd
        self._offset = offset
        self._tell = tell

    def open(self) -> _PartReader:
        """Return the bytes from the first."""
        return _PartReader(self._fd, self._offset, self.size, self._tell)


class _PartReader:
    def __init__(self, fd: int, offset: int, size: int, tell: Callable[[int], None]) -> None:
        self._fd = fd
        self._at = offset
        self._end = offset + size
        self._tell = tell

    def read(self, size: int = -1, /) -> bytes:
        """Return up to *size* bytes, none at the end; says how far the file is read."""
        room = self._end - self._at
        data = os.pread(self._fd, room if size < 0 else min(size, room), self._at)
        self._at += len(data)
        self._tell(self._at)
        return data


class _LostError(Exception):
    """The registry has forgotten our upload session."""


class Upload:
    """One blob, *size* bytes of the file *fd*, to one repository."""

    def __init__(
        self,
        client: RegistryClient,
        fd: int,
        digest: str,
        size: int,
        *,
        chunk: int,
        tell: Callable[[str, int], None] = lambda status, at: None,  # noqa: ARG005 - as called
    ) -> None:
        self._client = client
        self._fd = fd
        self._digest = digest
        self._size = size
        self._chunk = chunk
        self._tell = tell
        self._location = ""
        self._offset = 0
        self._failures = 0

    def run(self, location: str = "") -> None:
        """Send it; *location* is a session that is open already.

        Raises:
            RegistryError: the registry does not take it.
        """
        for session in range(1, _SESSIONS + 1):
            self._location = location or begin(self._client)
            self._offset, location = 0, ""
            try:
                self._send()
            except _LostError:
                if session < _SESSIONS and not self._client.has_blob(self._digest):
                    continue
                if session == _SESSIONS:
                    raise RegistryError("it forgets what it was sent") from None
            return

    def _send(self) -> None:
        while True:
            length = min(self._chunk, self._size - self._offset)
            is_last = self._offset + length == self._size
            try:
                if is_last and self._finish(length):
                    return
                if not is_last:
                    self._add(length)
            except RegistryUnreachableError as error:
                self._recover(error)

    def _add(self, length: int) -> None:
        """Send one chunk."""
        headers = {**_BYTES, "Content-Range": f"{self._offset}-{self._offset + length - 1}"}
        response = self._request("PATCH", self._location, headers, length)
        if response.status in (404, 416):
            response.close()
            self._ask()
            return
        if response.status >= 300:
            raise refusal(response)
        self._moved(response, self._offset + length)

    def _finish(self, length: int) -> bool:
        """Send the last chunk and the digest; False when it has to be sent again."""
        separator = "&" if "?" in self._location else "?"
        url = f"{self._location}{separator}digest={quote(self._digest, safe='')}"
        headers = dict(_BYTES)
        if self._offset:
            headers["Content-Range"] = f"{self._offset}-{self._offset + length - 1}"
        response = self._request("PUT", url, headers, length)
        if response.status < 300:
            response.close()
            return True
        if response.status in (404, 416):
            response.close()
            self._ask()
            return False
        if response.status == 400 and self._failures:
            response.close()  # what it has after a failure is not what we have
            raise _LostError
        raise refusal(response)

    def _request(self, method: str, url: str, headers: dict[str, str], length: int) -> Response:
        if length == 0:
            return self._client.send(method, url, headers, b"", attempts=1)
        part = Part(self._fd, self._offset, length, lambda at: self._tell("Pushing", at))
        return self._client.send(method, url, headers, part, attempts=1)

    def _recover(self, error: RegistryUnreachableError) -> None:
        """Wait a little and ask how much arrived.

        Raises:
            UnreachableError: that was once too often.
            _LostError: the session is gone.
        """
        patience = self._client.transport.patience
        self._failures += 1
        if self._failures >= patience.attempts or error.is_final:
            raise error
        pause = min(patience.pause * 2.0 ** (self._failures - 1), patience.longest_pause)
        self._tell(f"Retrying: {error.reason}; again in {pause:.0f} s", self._offset)
        self._client.transport.wait(pause)
        self._ask()

    def _ask(self) -> None:
        """Ask the registry how much it has."""
        response = self._client.send("GET", self._location, {})
        if response.status >= 300:
            response.close()
            raise _LostError
        self._failures += 1
        if self._failures > self._client.transport.patience.attempts:
            response.close()
            raise RegistryError("it does not take what it is sent")
        self._moved(response, 0)

    def _moved(self, response: Response, expected: int) -> None:
        """Take the session's next address and offset from an answer."""
        response.close()
        if target := response.headers.get("location"):
            self._location = join(response.url, target)
        first, _, last = response.headers.get("range", "").removeprefix("bytes=").partition("-")
        offset = expected
        end = whole(last)
        if first == "0" and end is not None:
            offset = end + 1 if end else 0  # "0-0" is what an empty session says
        if not offset <= self._size:
            raise RegistryError("it has more than it was sent")
        self._offset = offset


def begin(client: RegistryClient) -> str:
    """Open a session and return its address."""
    response = client.send("POST", "blobs/uploads/", {}, b"")
    if response.status not in (201, 202):
        raise refusal(response)
    return _session(response)


def mount(client: RegistryClient, digest: str, repository: str) -> tuple[bool, str]:
    """Ask the registry to share the blob of its *repository*.

    Returns (True, "") if it is; else (False, the address of a session, if one was opened).
    """
    path = f"blobs/uploads/?mount={quote(digest, safe='')}&from={quote(repository, safe='')}"
    response = client.send("POST", path, {}, b"")
    if response.status == 201:
        response.close()
        return True, ""
    if response.status == 202:
        return False, _session(response)
    failure = refusal(response)
    if isinstance(failure, MissingError):
        return False, ""
    raise failure


def _session(response: Response) -> str:
    response.close()
    target = response.headers.get("location")
    if not target:
        raise RegistryError("it opens an upload and does not say where")
    return join(response.url, target)
