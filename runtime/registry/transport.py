"""HTTP to registries: connections kept, retries, redirects, timeouts, proxies.

Knows nothing of registries but what their rate limits look like.  A redirect to another host
carries no Authorization; one from https to http is not followed.  urllib3 is imported with this
module: pull, push and login alone import it.
"""

from __future__ import annotations

import os
import random
import ssl
import threading
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import responses
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from runtime.registry import proxies, wire_errors
from runtime.registry.pace import AnswerDeadline, Pace, Punctual
from runtime.registry.problems import RegistryError, RegistryUnreachableError, StoppedError
from supervise import __version__
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Protocol

    from runtime.registry.settings import Patience, Trust

    class Body(Protocol):
        """A request body that can be sent again: `open` is called for every attempt."""

        size: int

        def open(self) -> Any:
            """Return something with read(size)."""


_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE = frozenset({"GET", "HEAD"})
_MOST_REDIRECTS = 5
_BLOCK = 1 << 18  # bytes at once
_SMALL = 1 << 14  # bytes of a body that are read to keep a connection


class Response:
    """An answer whose body has not been read."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str, patience: Patience) -> None:
        self._response = response
        self._patience = patience
        self._begun = self._ended = False  # reading the body
        self._pace = Pace(patience.stall)
        self.url = url
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    def challenges(self) -> list[str]:
        """Return the values of every WWW-Authenticate line."""
        headers: Any = self._response.headers
        found: list[str] = headers.getlist("www-authenticate")
        return found

    def all(self, most: int) -> bytes:
        """Return the body.

        Raises:
            RegistryError: it has more than *most* bytes, or ends too early.
        """
        data = b"".join(self.chunks(most + 1))
        if len(data) > most:
            raise RegistryError(f"its answer has more than {most} bytes")
        return data

    def chunks(self, most: int = 1 << 62) -> Iterator[bytes]:
        """Yield the body as it comes, about *most* bytes of it.

        Raises:
            UnreachableError: the connection was lost, or the server was silent for too long.
        """
        self._begun = True
        self._pace = Pace(self._patience.stall)
        try:
            with AnswerDeadline(2 * self._patience.stall, self.shutdown) as deadline:
                while most > 0 and (chunk := self._next(min(_BLOCK, most), deadline)):
                    most -= len(chunk)
                    yield chunk
            self._ended = most > 0
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise wire_errors.unreachable(error, self._patience) from error
        finally:
            self.close()

    def _next(self, most: int, deadline: AnswerDeadline) -> bytes:
        deadline.begin()
        chunk = self._response.read1(most)
        deadline.end()  # from here on it is us who take the time
        if deadline.is_over:
            raise RegistryUnreachableError(
                f"it sent nothing of use for {2 * self._patience.stall:g} s"
            )
        if chunk and (complaint := self._pace.complaint(len(chunk))):
            raise RegistryUnreachableError(complaint)
        return chunk

    def shutdown(self) -> None:
        """End a read that another thread waits in."""
        # It may have been read to its end meanwhile; closed is what it shall be.
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def close(self) -> None:
        """Give the connection back if the body is at its end, else close it.

        The rest of a small body that the caller left is read, once: more than that would be
        at the server's mercy.
        """
        left = self._response.length_remaining
        if not self._begun and left is not None and left <= _SMALL:
            self._begun = True
            with suppress(exceptions.HTTPError, OSError, ValueError):
                self._ended = len(self._response.read1(left) if left else b"") == left
        if self._ended:
            self._response.drain_conn()
            self._response.release_conn()
        else:
            self._response.close()


class _RegistryConnection(Punctual, urllib3.connection.HTTPConnection):
    pass


class _RegistryTlsConnection(Punctual, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _RegistryConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _RegistryTlsConnection


class Transport:
    """All connections of one pull or push; `stop` ends them."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.stopped = threading.Event()
        self._pools: dict[Any, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End waits and transfers of other threads with StoppedError."""
        self.stopped.set()

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.clear()

    def request(
        self,
        method: str,
        url: str,
        trust: Trust,
        headers: Mapping[str, str],
        *,
        body: Body | bytes | None = None,
        attempts: int = 0,
        tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005 - what it is called with
    ) -> Response:
        """Return the answer, after as many attempts and redirects as it takes.

        *tell* hears why and for how long it waits.

        Raises:
            UnreachableError: no answer, or only ones that say "later".
        """
        attempts = attempts or self.patience.attempts
        for attempt in range(1, attempts + 1):
            advice = None
            try:
                response = self._follow(method, url, trust, dict(headers), body)
            except RegistryUnreachableError as error:
                if attempt == attempts or error.is_final:
                    raise
                reason = error.reason
            else:
                if response.status not in _RETRIED:
                    return response
                reason = status_text(response.status)
                response.close()
                advice = response.headers.get("retry-after")
                if attempt == attempts:
                    raise RegistryUnreachableError(
                        f"{reason}, {attempts} times" if attempts > 1 else reason
                    )
            pause = self._pause(attempt, advice, reason)
            tell(f"{reason}; again in {pause:.0f} s")
            self.wait(pause)
        raise AssertionError("unreachable")

    def wait(self, seconds: float) -> None:
        """Wait; raises StoppedError when the transport is stopped."""
        if self.stopped.wait(seconds):
            raise StoppedError

    def _pause(self, attempt: int, advice: str | None, reason: str) -> float:
        asked = retry_after(advice)
        if asked is None:
            pause = self.patience.pause * 2.0 ** (attempt - 1)
            jitter = random.uniform(0.75, 1.25)  # noqa: S311 - it keeps clients apart, no secret
            return float(min(pause, self.patience.longest_pause) * jitter)
        if asked > self.patience.longest_pause:
            raise RegistryUnreachableError(f"{reason}: it asks to come again in {asked:.0f} s")
        return asked

    def _follow(
        self, method: str, url: str, trust: Trust, headers: dict[str, str], body: Any
    ) -> Response:
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._once(method, url, trust, headers, body)
            target = response.headers.get("location")
            if response.status not in _REDIRECTS or not target:
                return response
            if method not in _SAFE and response.status not in (307, 308):
                return response
            response.close()
            before, url = url, join(url, target)
            if before.startswith("https:") and not url.startswith("https:"):
                raise RegistryUnreachableError(
                    "it redirects from https to plain http", is_final=True
                )
            if _origin(before) != _origin(url):
                headers.pop("Authorization", None)
        raise RegistryUnreachableError("it redirects in circles", is_final=True)

    def _once(
        self, method: str, url: str, trust: Trust, headers: dict[str, str], body: Any
    ) -> Response:
        if self.stopped.is_set():
            raise StoppedError
        pool = self._pool(trust, url)
        sent = {"User-Agent": f"runtime/{__version__}", "Accept-Encoding": "identity", **headers}
        content = body
        if body is not None and not isinstance(body, bytes):
            content = body.open()
            sent["Content-Length"] = str(body.size)
        try:
            response = pool.request(
                method,
                url,
                body=content,
                headers=sent,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise wire_errors.unreachable(error, self.patience) from error
        return Response(response, url, self.patience)

    def _pool(self, trust: Trust, url: str) -> urllib3.PoolManager:
        is_tls = url.startswith("https:")
        proxy = proxies.for_url(url, os.environ)
        key = (trust if is_tls else None, proxy)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make_pool(trust if is_tls else None, proxy)
            return self._pools[key]

    def _make_pool(self, trust: Trust | None, proxy: str) -> urllib3.PoolManager:
        options: dict[str, Any] = {
            "maxsize": 16,
            "blocksize": _BLOCK,
            "timeout": urllib3.Timeout(connect=self.patience.connect, read=self.patience.stall),
        }
        if trust is not None:  # reading the system's authorities takes 30 ms
            options["ssl_context"] = _context(trust)
        made = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        made.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return made


def status_text(status: int) -> str:
    """Return ``503 Service Unavailable``."""
    return f"{status} {responses.get(status, '')}".rstrip()


def join(base: str, target: str) -> str:
    """Return the address that *target*, which a server sent, means at *base*.

    Raises:
        UnreachableError: the redirect is not one that we follow.
    """
    try:
        found = urljoin(base, target)
        _origin(found)
    except ValueError:
        found = ""
    if not found.startswith(("http://", "https://")):
        raise RegistryUnreachableError("it sends us to what is no address", is_final=True)
    return found


def _context(trust: Trust) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust.ca or None)
        if not trust.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if trust.certificate:
            context.load_cert_chain(trust.certificate, trust.key or None)
    except OSError as error:
        which = " or ".join(filter(None, (trust.ca, trust.certificate, trust.key)))
        reason = f"cannot read the certificates in {which}: {error.strerror or error}"
        raise RegistryUnreachableError(reason, is_final=True) from error
    return context


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port


def retry_after(text: str | None, now: float | None = None) -> float | None:
    """Return the seconds a Retry-After asks for: a number, or a date."""
    if text is None:
        return None
    seconds = whole(text.strip())
    if seconds is not None:
        return float(seconds)
    try:
        when = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):  # no date, or one of another age
        return None
    return max(0.0, when - (time.time() if now is None else now))
