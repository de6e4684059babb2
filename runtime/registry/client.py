"""One repository at one endpoint: requests with authentication, answers with meaning."""

from __future__ import annotations

import threading

from runtime.model import jsontext
from runtime.model.image import digest as digests
from runtime.model.image import reference as names
from runtime.registry import documents
from runtime.registry.problems import (
    CorruptError,
    DeniedError,
    MissingError,
    RegistryError,
    RegistryUnreachableError,
)
from runtime.registry.settings import is_loopback
from runtime.registry.transport import join, status_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.registry.auth import Authority
    from runtime.registry.documents import Descriptor, Document
    from runtime.registry.settings import RegistryEndpoint
    from runtime.registry.transport import Body, Response, Transport

PULL, PUSH = "pull", "pull,push"
_LARGEST_DOCUMENT = 4 << 20  # bytes, of a manifest: what registries accept
_LARGEST_CONFIG = 16 << 20
_LARGEST_ERROR = 1 << 16
_LARGEST_LIST = 16 << 20
_MOST_PAGES = 64  # of a list of tags
_MOST_TAGS = 100_000
_AUTHENTICATIONS = 2  # answers to 401 a request


class RegistryClient:
    """What a repository can be asked.  Safe to share between threads."""

    def __init__(
        self,
        endpoint: RegistryEndpoint,
        transport: Transport,
        authority: Authority,
        action: str = PULL,
    ) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self._authority = authority
        self._scope = f"repository:{endpoint.repository}:{action}" if action else ""
        self._base = ""
        self._lock = threading.Lock()

    @property
    def shown(self) -> str:
        """Return the address for messages."""
        scheme = self.endpoint.location.scheme or ("http" if self._is_loopback() else "https")
        return f"{self._base or f'{scheme}://{self.endpoint.location.host}'}"

    def base(self) -> str:
        """Return ``scheme://host``; on loopback without a configured scheme, try both."""
        with self._lock:
            if not self._base:
                self._base = self._find_base()
            return self._base

    def manifest(self, tag_or_digest: str) -> Document:
        """Return a manifest or an index.

        Raises:
            RegistryError: it is not to be had, or is not what its digest says.
        """
        response = self.get(f"manifests/{tag_or_digest}", {"Accept": documents.ACCEPT})
        data = response.all(_LARGEST_DOCUMENT)
        wanted = tag_or_digest if digests.is_digest(tag_or_digest) else ""
        return documents.check(data, response.headers.get("content-type", ""), wanted)

    def tags(self) -> list[str]:
        """Return the tags there are."""
        found: list[str] = []
        url = self._url("tags/list")
        for _ in range(_MOST_PAGES):
            response = self._checked("GET", url, {})
            try:
                listed = list(jsontext.document(response.all(_LARGEST_LIST)).get("tags") or ())
            except (ValueError, AttributeError, TypeError) as error:
                raise RegistryError("its list of tags makes no sense") from error
            found += [tag for tag in listed if isinstance(tag, str) and names.is_tag(tag)]
            if len(found) > _MOST_TAGS:
                raise RegistryError(f"it lists more than {_MOST_TAGS} tags")
            link = response.headers.get("link", "")
            if 'rel="next"' not in link or not link.startswith("<"):
                break
            url = join(url, link[1:].partition(">")[0])
        return found

    def document(self, descriptor: Descriptor) -> bytes:
        """Return a small blob, verified."""
        if descriptor.size > _LARGEST_CONFIG:
            raise RegistryError(f"its configuration would have {descriptor.size} bytes")
        data = self.get(f"blobs/{descriptor.digest}", {}).all(descriptor.size)
        if digests.digest_of(data) != descriptor.digest:
            found = digests.digest_of(data)
            raise CorruptError(f"it sent a blob with the digest {found}, not {descriptor.digest}")
        return data

    def blob(
        self,
        digest: str,
        offset: int,
        tell: Callable[[str], None],
    ) -> Response:
        """Return the answer with a blob's bytes from *offset* on: 206, or 200 from the start."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        return self._checked("GET", self._url(f"blobs/{digest}"), headers, tell=tell)

    def has_blob(self, digest: str) -> bool:
        """Return whether the repository has a blob."""
        try:
            self._checked("HEAD", self._url(f"blobs/{digest}"), {}).close()
        except MissingError:
            return False
        return True

    def get(self, path: str, headers: Mapping[str, str]) -> Response:
        """Return the answer to a GET below the repository."""
        return self._checked("GET", self._url(path), headers)

    def put_manifest(self, tag_or_digest: str, document: Document) -> None:
        """Store a manifest."""
        headers = {"Content-Type": document.media_type}
        url = self._url(f"manifests/{tag_or_digest}")
        self._checked("PUT", url, headers, body=document.data).close()

    def send(
        self,
        method: str,
        path_or_url: str,
        headers: Mapping[str, str],
        body: Body | bytes | None = None,
        *,
        attempts: int = 0,
    ) -> Response:
        """Return the answer to a request of an upload, whatever its status, but not a 401."""
        url = path_or_url if "://" in path_or_url else self._url(path_or_url)
        return self._request(method, url, headers, body, attempts=attempts)

    def widen(self, scope: str) -> None:
        """Ask for *scope* too with the next token."""
        self._scope = f"{self._scope} {scope}".strip()

    def check_login(self) -> None:
        """Ask for what only a login may see: the base of the API.

        Raises:
            RegistryError: it does not let us in.
        """
        self._checked("GET", f"{self.base()}/v2/", {}).close()

    # -- inside

    def _checked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005 - what it is called with
    ) -> Response:
        response = self._request(method, url, headers, body, tell=tell)
        if response.status >= 300:
            raise refusal(response)
        return response

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | bytes | None = None,
        *,
        attempts: int = 0,
        tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005 - what it is called with
    ) -> Response:
        trust = self.endpoint.location.trust
        for _ in range(_AUTHENTICATIONS + 1):
            shown = self._authority.header(self.endpoint, self._scope)
            sent = {**headers, "Authorization": shown} if shown else headers
            response = self.transport.request(
                method, url, trust, sent, body=body, attempts=attempts, tell=tell
            )
            if response.status != 401:
                return response
            response.close()
            self._authority.answer(self.endpoint, self._scope, response, shown)
        raise DeniedError("it refuses the tokens that are made for it")

    def _url(self, path: str) -> str:
        return f"{self.base()}/v2/{self.endpoint.repository}/{path}"

    def _is_loopback(self) -> bool:
        return is_loopback(self.endpoint.location.host)

    def _find_base(self) -> str:
        location = self.endpoint.location
        if location.scheme or not self._is_loopback():
            return f"{location.scheme or 'https'}://{location.host}"
        # A registry that speaks TLS answers plain http with 400, or not at all.
        plain = f"http://{location.host}"
        try:
            response = self.transport.request("GET", f"{plain}/v2/", location.trust, {}, attempts=1)
        except RegistryUnreachableError as error:
            if error.is_final:
                raise
            return f"https://{location.host}"
        response.close()
        return f"https://{location.host}" if response.status == 400 else plain


def refusal(response: Response) -> RegistryError:
    """Return what an answer's status means; reads and closes it."""
    status = response.status
    said = _said(response)
    reason = f"it says {status_text(status)}{f': {said}' if said else ''}"
    if status == 404:
        return MissingError(reason)
    if status in (401, 403):
        return DeniedError(reason)
    return RegistryError(reason)


def _said(response: Response) -> str:
    """Return the message in a registry's JSON of errors, empty when there is none."""
    try:
        errors = jsontext.document(response.all(_LARGEST_ERROR))["errors"]
        text = str(errors[0].get("message") or errors[0].get("code") or "")
    except (RegistryError, ValueError, LookupError, TypeError, AttributeError):
        return ""  # many answer with HTML or nothing; the status says enough
    return text[:200]
