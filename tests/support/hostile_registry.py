"""A registry that misbehaves as it is told: late, cut, wrong, somewhere else.

It serves images held in memory.  `fault` says what happens to the next requests that match; what
it was asked, with every header, is in `requests`.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runtime.registry import documents
from tests.support.images import config_of, digest
from tests.support.tars import file, make_tar

Behaviour = Callable[["_Handler", bytes], None]


class Asked:
    """One request."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers  # names in lower case
        self.body = body

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class HostileRegistry:
    """Listens on loopback; `close` ends it and whatever it keeps waiting."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}  # repository/tag or digest → what
        self.requests: list[Asked] = []
        self.over = threading.Event()  # what stalls waits for this
        self._faults: list[tuple[str, str, int, Behaviour]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _handler(self) -> type[_Handler]:
        return type("Handler", (_Handler,), {"registry": self})

    def fault(
        self,
        path: str,
        behaviour: Behaviour,
        *,
        method: str = "GET",
        times: int = 1,
        first: bool = False,
    ) -> None:
        """Let *behaviour* answer the next *times* requests whose path has *path* in it.

        It comes after the faults there are, or *first*.
        """
        with self._lock:
            place = 0 if first else len(self._faults)
            self._faults.insert(place, (method, path, times, behaviour))

    def behaviour(self, method: str, path: str) -> Behaviour | None:
        """Take the fault for a request off the list."""
        with self._lock:
            for index, (its_method, part, times, behaviour) in enumerate(self._faults):
                if its_method == method and part in path:
                    if times > 1:
                        self._faults[index] = its_method, part, times - 1, behaviour
                    else:
                        del self._faults[index]
                    return behaviour
        return None

    def blob(self, data: bytes) -> dict[str, Any]:
        """Keep a blob and return its digest and size."""
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size": len(data)}

    def image(
        self,
        name: str,
        *layers: bytes,
        pack: Callable[[bytes], bytes] = lambda data: gzip.compress(data, 1, mtime=0),
        layer_type: str = documents.OCI_LAYER + "+gzip",
        config_type: str = documents.OCI_CONFIG,
        config: bytes = b"",
        media_type: str = documents.OCI_MANIFEST,
    ) -> str:
        """Put an image under ``repository:tag`` and return its manifest's digest."""
        config = config or config_of(*layers)
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": config_type, **self.blob(config)},
            "layers": [{"mediaType": layer_type, **self.blob(pack(layer))} for layer in layers],
        }
        return self.manifest(name, json.dumps(manifest).encode(), media_type)

    def manifest(self, name: str, data: bytes, media_type: str) -> str:
        """Put a manifest under ``repository:tag`` and return its digest."""
        repository, _, tag = name.rpartition(":")
        found = digest(data)
        self.manifests[f"{repository}/{tag}"] = self.manifests[found] = media_type, data
        return found

    def asked(self, part: str) -> list[Asked]:
        """Return the requests whose path has *part* in it."""
        return [one for one in self.requests if part in one.path]

    def close(self) -> None:
        """End it."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: HostileRegistry
    protocol_version = "HTTP/1.1"
    timeout = 15

    def log_message(self, *arguments: Any) -> None:
        """Say nothing on stderr."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has seen enough
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.registry.requests.append(Asked(self.command, self.path, headers, body))
        kind, data, status = self._find()
        behaviour = self.registry.behaviour(self.command, self.path)
        if behaviour is not None:
            behaviour(self, data)
            return
        if status != 200:
            self.send(status, data)
            return
        asked = headers.get("range", "").removeprefix("bytes=").rstrip("-")
        if asked:
            self.send(206, data[int(asked) :], {"Content-Range": f"bytes {asked}-{len(data)}/x"})
        else:
            self.send(200, data, {"Content-Type": kind})

    def _find(self) -> tuple[str, bytes, int]:
        """Return (content type, body, status) of an honest answer."""
        path = self.path.removeprefix("/v2/")
        if not path:
            return "application/json", b"{}", 200
        if path.endswith("/tags/list"):
            repository = path.removesuffix("/tags/list")
            names = [n for n in self.registry.manifests if n.startswith(f"{repository}/")]
            tags = [name.rpartition("/")[2] for name in names]
            return "application/json", json.dumps({"tags": tags}).encode(), 200 if tags else 404
        repository, _, rest = path.partition("/manifests/")
        if rest:
            found = self.registry.manifests.get(rest if ":" in rest else f"{repository}/{rest}")
            return (*found, 200) if found else ("", b"", 404)
        blob = self.registry.blobs.get(path.partition("/blobs/")[2])
        return ("application/octet-stream", blob, 200) if blob is not None else ("", b"", 404)

    def send(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer with all of *data*."""
        self.begin(status, len(data), headers)
        if self.command != "HEAD":
            self.wfile.write(data)

    def begin(self, status: int, size: int, headers: dict[str, str] | None = None) -> None:
        """Answer with headers alone that promise *size* bytes."""
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()


def status(code: int, **headers: str) -> Behaviour:
    """Answer with a status and nothing else; ``retry_after="1"`` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(code, b"", named)


def cut(after: int) -> Behaviour:
    """Promise the whole, send *after* bytes and close the connection."""

    def behave(handler: _Handler, data: bytes) -> None:
        handler.begin(200, len(data))
        handler.wfile.write(data[:after])
        handler.wfile.flush()
        handler.close_connection = True

    return behave


def corrupt(handler: _Handler, data: bytes) -> None:
    """Send as many bytes, one of them wrong."""
    middle = len(data) // 2
    handler.send(200, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def longer(handler: _Handler, data: bytes) -> None:
    """Send more bytes than there should be."""
    handler.send(200, data + b"more")


def whole(handler: _Handler, data: bytes) -> None:
    """Know nothing of ranges."""
    handler.send(200, data)


def stall(after: int) -> Behaviour:
    """Send *after* bytes and then nothing, until the test is over."""

    def behave(handler: _Handler, data: bytes) -> None:
        handler.begin(200, len(data))
        handler.wfile.write(data[:after])
        handler.wfile.flush()
        handler.registry.over.wait()
        handler.close_connection = True

    return behave


def silent(handler: _Handler, data: bytes) -> None:
    """Take the request and answer nothing, until the test is over."""
    del data
    handler.registry.over.wait()
    handler.close_connection = True


def redirect(url: str, code: int = 307) -> Behaviour:
    """Send the client elsewhere."""
    return lambda handler, _: handler.send(code, b"", {"Location": url})


def layer(name: str = "file", size: int = 200_000) -> bytes:
    """Return a layer with one file that does not compress to nothing."""
    seed = digest(name.encode()).encode()
    contents = b"".join(
        digest(seed + bytes([n % 256, n // 256])).encode() for n in range(size // 71)
    )
    return make_tar(file(name, contents))


class Wire:
    """Listens on loopback and answers each request with the bytes of *script*, pauses between."""

    def __init__(self, script: Callable[[], Iterable[bytes]], pause: float = 0.0) -> None:
        self.over = threading.Event()
        self._script = script
        self._pause = pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        """End it."""
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        while not self.over.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._answer, args=(sock,)))
            self._threads[-1].start()

    def _answer(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(15)
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += sock.recv(1 << 16) or b"\r\n\r\n"
            for piece in self._script():
                sock.sendall(piece)
                if self.over.wait(self._pause):
                    return
