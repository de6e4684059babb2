"""A web server of a few files on loopback, and a git repository on it."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from pathlib import Path


class Web:
    """A server of files: path → (status, headers, body); it counts what it sends."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[str] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = web.files.get(self.path) or web.files.get(
                    self.path.partition("?")[0], (404, {}, b"")
                )
                etag = headers.get("ETag")
                if etag and self.headers.get("If-None-Match") == etag:
                    status, body = 304, b""
                web.requests.append(f"{status} {self.path}")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304 and "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def git(*arguments: str, cwd: Path) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@b"}
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def serve_repository(web: Web, tree: Path) -> str:
    """Make a repository in *tree* and return its URL on a plain web server.

    It has the branch main, whose only file sub/x says two, and the tag v1, where it says one.
    """
    (tree / "sub").mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=tree)
    (tree / "sub/x").write_text("one")
    git("add", ".", cwd=tree)
    git("commit", "--quiet", "--message=one", cwd=tree)
    git("tag", "v1", cwd=tree)
    (tree / "sub/x").write_text("two")
    git("commit", "--quiet", "--all", "--message=two", cwd=tree)
    git("update-server-info", cwd=tree)
    for path in (tree / ".git").rglob("*"):
        if path.is_file():
            web.files[f"/r.git/{path.relative_to(tree / '.git')}"] = (200, {}, path.read_bytes())
    return f"{web.url}/r.git"
