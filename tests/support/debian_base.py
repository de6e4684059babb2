"""Debian's archive for the builds of tests, in network namespaces that have no way out.

An HTTP proxy, and nothing but Debian's archive behind it: a build that needs anything else fails.
It asks the mirror that this machine's apt uses, through the proxy that apt uses, and every file
once, however many builds want it.
"""

from __future__ import annotations

import hashlib
import http.server
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.support.netmachine import Namespace

_PORT = 3128
_ARCHIVE = re.compile(r"http://(?:deb|security)\.debian\.org/(debian|debian-security)/(.+)")
_TIMEOUT = 60.0  # seconds one answer of the mirror may take
_TARGETS = "$(ORIGIN) $(RELEASE) $(REPO_URI)"


class Archive:
    """The proxy; `listen` opens it to one network namespace, `close` ends it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mirrors = _mirrors()
        proxies = {"http": _said_by_apt("Acquire::http::Proxy")}
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({k: v for k, v in proxies.items() if v} or None)
        )
        self.locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._servers: list[_Server] = []

    def listen(self, space: Namespace) -> str:
        """Serve on the loopback interface of *space* and return the address."""
        server = _Server(space.socket(socket.AF_INET, socket.SOCK_STREAM), self)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{_PORT}"

    def fetch(self, url: str) -> Path | HTTPStatus:
        """Return the file with what is at *url*, or the status that says why there is none."""
        found = _ARCHIVE.fullmatch(url)
        if not found:
            return HTTPStatus.FORBIDDEN
        archive, rest = found.groups()
        mirror = self.mirrors.get(archive, url.removesuffix(rest))
        kept = self.directory / hashlib.sha256(url.encode()).hexdigest()
        with self.locks[url]:
            if kept.exists():
                return kept
            unfinished = kept.with_suffix(".part")
            try:
                with (
                    self.opener.open(mirror + rest, timeout=_TIMEOUT) as answer,
                    unfinished.open("wb") as file,
                ):
                    shutil.copyfileobj(answer, file)
            except urllib.error.HTTPError as error:
                with error:
                    return HTTPStatus(error.code)
            unfinished.rename(kept)
        return kept

    def close(self) -> None:
        """Stop serving."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    """One listening socket of the archive."""

    def __init__(self, listener: socket.socket, archive: Archive) -> None:
        super().__init__(("127.0.0.1", _PORT), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener  # of another network namespace, which a socket never leaves
        self.archive = archive
        self.server_bind()
        self.server_activate()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers apt."""

    protocol_version = "HTTP/1.1"  # apt asks for several files on one connection
    server: _Server

    def do_GET(self) -> None:
        found = self.server.archive.fetch(self.path)
        if isinstance(found, HTTPStatus):
            self.send_error(found)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(found.stat().st_size))
        self.end_headers()
        with found.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


def _mirrors() -> dict[str, str]:
    """Return where this machine's apt has Debian's archives from; without lists, nothing."""
    words = ("apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages")
    found = {}
    for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    ):
        origin, _, rest = line.partition(" ")
        release, _, uri = rest.partition(" ")
        if origin == "Debian" and uri.startswith(("http:", "https:")):
            found["debian-security" if release.endswith("-security") else "debian"] = uri
    return found


def _said_by_apt(key: str) -> str:
    """Return the value of a key of apt's configuration, "" without one."""
    shell = subprocess.run(
        ("apt-config", "shell", "value", key), capture_output=True, text=True, check=True
    ).stdout
    return shell.strip().removeprefix("value=").strip("'")
