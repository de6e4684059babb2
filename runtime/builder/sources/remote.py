"""Files from the web, kept in the store by their digests, so that a build asks only what is new.

For ADD and for contexts that are URLs.  A download is seen whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import posixpath

from runtime.builder.sources import scratch
from runtime.linux import record_files
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.image import digest as model
from runtime.store import files
from supervise.model.numerals import whole
from supervise.model.printable import printable
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message
    from typing import Any

UNNAMED = "__unnamed__"  # as BuildKit calls what has no name in its URL
_TIMEOUT = 60.0  # seconds without a byte
_CHUNK = 1 << 18
_SAID = 200  # letters of what a library says
_NANO = 1_000_000_000


class UrlDownload(Record):
    """One file of the store."""

    directory: str
    name: str  # in *directory*
    digest: str  # sha256:…


def is_url(text: str) -> bool:
    """Return whether *text* is what is fetched over HTTP."""
    return text.lower().startswith(("http://", "https://"))


def file_name(url: str) -> str:
    """Return what the file of *url* is called: the last part of its path, empty for none.

    Raises:
        RuntimeFailure: it is no URL.
    """
    from urllib.parse import unquote, urlsplit

    try:
        name = posixpath.basename(unquote(urlsplit(url).path))
    except ValueError as error:
        raise RuntimeFailure(f"cannot fetch '{url}': {error}") from None
    if "\0" in name:
        raise RuntimeFailure(f"cannot fetch '{url}': its file's name has a NUL")
    return "" if name in ("", ".", "..") else name


def fetch(url: str, directory: str, *, checksum: str = "") -> UrlDownload:
    """Return the file of *url*, below *directory*: mode 0600, its time is the server's.

    With *checksum* (``sha256:…``) what is there already serves without asking.

    Raises:
        RuntimeFailure: the server cannot be reached, refuses, or sends something else than
            *checksum* says.
    """
    if checksum and not model.is_digest(checksum):
        raise RuntimeFailure(
            f"cannot use --checksum={checksum}: it is no sha256 digest",
            "write sha256: and 64 hexadecimal digits, as sha256sum prints them",
        )
    files.make_directories(directory)
    if checksum and os.path.exists(f"{directory}/{model.hex_of(checksum)}"):
        return UrlDownload(directory, model.hex_of(checksum), checksum)
    note_path = f"{directory}/{hashlib.sha256(os.fsencode(url)).hexdigest()}.json"
    note = _note(note_path)
    if not os.path.exists(f"{directory}/{note.get('file', '')}"):
        note = {}
    found = _ask(url, directory, note)
    if found is None:
        found = note
    else:
        files.write_json(note_path, found, sync=False)
    digest = model.PREFIX + found["file"]
    if checksum and checksum != digest:
        raise RuntimeFailure(
            f"cannot use '{url}': its digest is {digest}, not {checksum}",
            "the file at that address is another one than when the line was written",
        )
    return UrlDownload(directory, found["file"], digest)


def _note(path: str) -> dict[str, str]:
    """Return what was noted of an earlier download; what cannot be read is no note."""
    try:
        found = record_files.read_value(path)
    except DamagedFailure as failure:
        record_files.note(failure)
        files.remove_tree(path)
        return {}
    is_note = (
        isinstance(found, dict)
        and all(isinstance(value, str) for value in found.values())
        and model.is_hex(found.get("file", ""))
    )
    return found if is_note else {}


def _ask(url: str, directory: str, note: dict[str, str]) -> dict[str, str] | None:
    """Return a note of what was downloaded, None when what *note* says still holds."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    from runtime.builder.sources import web

    headers = {"User-Agent": "runtime", "Accept-Encoding": "identity"}
    if note.get("etag"):
        headers["If-None-Match"] = note["etag"]
    elif note.get("modified"):
        headers["If-Modified-Since"] = note["modified"]
    try:
        with web.open_url(url, headers, _TIMEOUT) as answer:
            return _keep(url, answer, directory)
    except HTTPError as error:
        with error:
            if error.code == 304 and note:
                return None
        raise RuntimeFailure(
            f"cannot fetch '{url}': {error.code} {_one_line(error.reason)}",
            _advice(error.code),
        ) from None
    except URLError as error:
        raise RuntimeFailure(f"cannot fetch '{url}': {_reason(error.reason)}") from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: what is no address
        raise RuntimeFailure(f"cannot fetch '{url}': {_reason(error)}") from None


def _keep(url: str, answer: Any, directory: str) -> dict[str, str]:
    from runtime.builder.sources import web

    temporary = scratch.file(directory)
    content = hashlib.sha256()
    size = 0
    try:
        for data in web.body(answer, _CHUNK):
            content.update(data)
            size += len(data)
            files.write_all(temporary.fd, data)
        _check_length(url, answer.headers, size)
        when = _modified(answer.headers) * _NANO
        os.utime(temporary.fd, ns=(when, when))
        os.rename(temporary.path, f"{directory}/{content.hexdigest()}")
    except BaseException:
        os.unlink(temporary.path)
        raise
    finally:
        temporary.release()
    return {
        "url": url,
        "file": content.hexdigest(),
        "etag": _kept(answer.headers.get("ETag", "")),
        "modified": _kept(answer.headers.get("Last-Modified", "")),
    }


def _kept(header: str) -> str:
    """Return a header as it can be sent back, empty for what cannot."""
    return header if header.isascii() and header.isprintable() else ""


def _check_length(url: str, headers: Message, size: int) -> None:
    promised = headers.get("Content-Length", "")
    if whole(promised) not in (None, size):
        raise RuntimeFailure(
            f"cannot fetch '{url}': the connection ended after {size} of {promised} bytes"
        )


def _modified(headers: Message) -> int:
    """Return the time of the file, in seconds; 0 when the server gives none, as BuildKit."""
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp())
    except (ValueError, OverflowError):  # no date, or one of another age
        return 0


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError) and error.args and "within" in str(error):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"nothing came for {_TIMEOUT:.0f} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _one_line(error) or type(error).__name__


def _one_line(said: object) -> str:
    """Return what a library says, with what a server said in it, for a message."""
    return printable(" ".join(str(said).split()))[:_SAID]


def _advice(code: int) -> str:
    if code in (401, 403):
        return "ADD has no way to log in: fetch it in RUN with a secret mount"
    return ""
