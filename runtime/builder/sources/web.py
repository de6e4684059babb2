"""HTTP for ADD and contexts that are URLs: `urllib` with bounds, and without its other schemes.

`urllib` itself follows a redirect to ftp, reads headers that never end, and waits for ever for a
body of which a byte comes now and then.  Imported when something is fetched: 60 ms.
"""

from __future__ import annotations

import http.client
import io
from urllib import request
from urllib.parse import urljoin

from runtime.model.errors import RuntimeFailure
from runtime.registry.pace import AnswerDeadline, Pace, Punctual, cutter
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


class StalledError(OSError):
    """What came was too little for too long."""


def open_url(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    """Return the answer to a GET of *url*, http or https, whose body has not been read.

    Raises:
        RuntimeFailure: it redirects to another scheme.
        OSError, http.client.HTTPException: as `urllib.request.urlopen`.
        ValueError: *url*, or where it redirects to, is no address.
    """
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        _Http(),
        _Https(),
        _Redirects(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener.open(request.Request(url, headers=dict(headers)), timeout=timeout)  # noqa: S310 - the opener has no other scheme


def body(answer: Any, most: int) -> Iterator[bytes]:
    """Yield the body of *answer* as it comes, at most *most* bytes at once.

    Raises:
        StalledError: it is slower than a pull may be.
        OSError, http.client.HTTPException: the connection was lost.
    """
    timeout = answer.time_limit
    pace = Pace(timeout)
    with AnswerDeadline(2 * timeout, answer.cut) as deadline:
        while True:
            deadline.begin()
            data = answer.read1(most)
            deadline.end()
            if deadline.is_over:
                raise StalledError(f"it sent nothing of use for {2 * timeout:.0f} seconds")
            if not data:
                return
            if complaint := pace.complaint(len(data)):
                raise StalledError(complaint)
            yield data


class _Marked(Punctual):
    """An answer knows how to be cut, and how long it may stall."""

    def getresponse(self) -> Any:
        cut = cutter(self.sock)
        found = super().getresponse()
        found.cut, found.time_limit = cut, self.timeout
        return found


class _WebConnection(_Marked, http.client.HTTPConnection):
    pass


class _WebTlsConnection(_Marked, http.client.HTTPSConnection):
    pass


class _Http(request.HTTPHandler):
    def http_open(self, req: request.Request) -> Any:
        return self.do_open(_WebConnection, req)


class _Https(request.HTTPSHandler):
    def https_open(self, req: request.Request) -> Any:
        return self.do_open(_WebTlsConnection, req)


class _Redirects(request.HTTPRedirectHandler):
    """Follows as `urllib` does, but to http and https alone, and reads no redirect's body."""

    def http_error_302(
        self, req: request.Request, fp: Any, code: int, msg: str, headers: Any
    ) -> Any:
        fp.close()  # unread: it may have no end
        target = headers.get("location") or headers.get("uri") or ""
        if not urljoin(req.full_url, target).startswith(("http://", "https://")):
            raise RuntimeFailure(
                f"cannot fetch '{req.full_url}': it redirects to '{printable(target)}'",
                "http and https alone are followed",
            )
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
