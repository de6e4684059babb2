"""What gives tokens for a registry, as docker's registries want them: JWTs signed by openssl."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

SERVICE, ISSUER = "test-registry", "test-issuer"


def openssl(*words: str, text: bytes = b"") -> bytes:
    """Run openssl and return what it writes."""
    return subprocess.run(["openssl", *words], input=text, capture_output=True, check=True).stdout


class TokenServer:
    """Knows users, their passwords and who may do what; `close` ends it."""

    def __init__(self, directory: Path, users: dict[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.users = users
        self.public: set[str] = set()  # repositories that anybody may pull
        self.lifetime = 300  # seconds, of a token
        self.gives_identity_tokens = False
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []  # method, query, who
        self.key, self.certificate = directory / "key.pem", directory / "certificate.pem"
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens"),
            *("-keyout", str(self.key), "-out", str(self.certificate)),
        )
        der = openssl("x509", "-in", str(self.certificate), "-outform", "DER")
        self._x5c = base64.b64encode(der).decode()
        handler = type("Handler", (_Handler,), {"server_": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.realm = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def configuration(self) -> dict[str, Any]:
        """Return the ``auth`` part of a docker-registry's configuration."""
        return {
            "token": {
                "realm": self.realm,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.certificate),
            }
        }

    def token(self, who: str, scopes: list[str]) -> str:
        """Return a token for what *who* may do of *scopes*."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = actions.split(",") if who else []
            if not who and name in self.public:
                allowed = ["pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": who,
            "aud": SERVICE,
            "access": access,
            "jti": str(now),
            "exp": now + self.lifetime,
            "nbf": now - 10,
            "iat": now,
        }
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._x5c]}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        signature = openssl("dgst", "-sha256", "-sign", str(self.key), text=signed.encode())
        return f"{signed}.{_encode(signature)}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_: TokenServer

    def log_message(self, *arguments: Any) -> None:
        """Say nothing on stderr."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        who = self._user()
        self.server_.requests.append(("GET", query, who or ""))
        if who is None:
            self._send(401, {"details": "wrong password"})
            return
        answer = {"token": self.server_.token(who, query.get("scope", []))}
        if self.server_.gives_identity_tokens and "offline_token" in query and who:
            answer["refresh_token"] = f"identity-of-{who}"
        self._send(200, answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = parse_qs(body)
        who = form.get("refresh_token", [""])[0].removeprefix("identity-of-")
        self.server_.requests.append(("POST", form, who))
        if who not in self.server_.users:
            self._send(401, {"details": "wrong token"})
            return
        scopes = form.get("scope", [""])[0].split()
        self._send(200, {"access_token": self.server_.token(who, scopes)})

    def _user(self) -> str | None:
        """Return who asks, nobody as an empty name, None for a wrong password."""
        kind, _, encoded = self.headers.get("authorization", "").partition(" ")
        if not kind:
            return ""
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user if self.server_.users.get(user) == password else None

    def _send(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps({**value, "expires_in": self.server_.lifetime}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
