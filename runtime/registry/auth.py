"""Being let in: basic authentication, and tokens as docker's registries give them.

A registry that wants a token names who gives it (realm), for what service and scope.  With a
password the token is asked for by GET, with an identity token by POST (OAuth 2).  Tokens live in
memory, one a scope, until they expire or are refused.
"""

from __future__ import annotations

import threading
import time
from urllib.parse import urlencode, urlsplit

from runtime.model import jsontext
from runtime.registry import challenges
from runtime.registry.problems import DeniedError, RegistryError
from runtime.registry.settings import DOCKER_ACCOUNT, is_loopback
from runtime.registry.transport import status_text
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.registry.challenges import Challenge
    from runtime.registry.credentials import Credentials
    from runtime.registry.settings import RegistryEndpoint
    from runtime.registry.transport import Response, Transport

_CLIENT = "runtime"
_LIFETIME = 60.0  # seconds, of a token that does not say: the specification's
_MARGIN = 5.0  # seconds before its end at which a token counts as expired
_LARGEST_ANSWER = 1 << 20  # bytes


class Token(Record):
    """What lets us in, and until when (monotonic seconds)."""

    text: str
    expires: float

    def __repr__(self) -> str:
        return "Token(…)"


class Authority:
    """What we have to show to registries; shared by the threads of one pull or push."""

    def __init__(
        self,
        transport: Transport,
        credentials: Callable[[str], Credentials | None],
        *,
        offline: bool = False,
    ) -> None:
        self._offline = offline  # ask for a token that outlives the password's use: login
        self._transport = transport
        self._find = credentials
        self._known: dict[str, Credentials | None] = {}
        self._tokens: dict[tuple[str, str], Token] = {}
        self._basic: set[str] = set()
        self._lock = threading.RLock()
        self.identity_tokens: dict[str, str] = {}  # account → refresh token that came with a token

    def header(self, endpoint: RegistryEndpoint, scope: str) -> str:
        """Return the Authorization header to send, empty until a challenge is known."""
        with self._lock:
            if endpoint.account in self._basic and (found := self.credentials(endpoint.account)):
                return found.basic()
            token = self._tokens.get((endpoint.location.host, scope))
            if token is None or token.expires < time.monotonic():
                return ""
            return f"Bearer {token.text}"

    def credentials(self, account: str) -> Credentials | None:
        """Return our credentials for that host, None for anonymous access."""
        with self._lock:
            if account not in self._known:
                self._known[account] = self._find(account)
            return self._known[account]

    def answer(
        self, endpoint: RegistryEndpoint, scope: str, response: Response, tried: str
    ) -> None:
        """Get what the 401 *response* wants, so that `header` has it; *tried* was refused.

        Raises:
            DeniedError: every way to authenticate was tried.
        """
        found = {one.scheme: one for one in challenges.parse(response.challenges())}
        with self._lock:
            now = self.header(endpoint, scope)
            if now and now != tried:
                return  # another thread was faster
            if "bearer" in found:
                if tried.startswith("Bearer ") and self._is_refused_for_good(found["bearer"]):
                    raise self._denied(endpoint)
                token = self._fetch(endpoint, scope, found["bearer"], response.url)
                self._tokens[endpoint.location.host, scope] = token
                return
            if "basic" in found and not tried and self.credentials(endpoint.account):
                self._basic.add(endpoint.account)
                return
        if found and not found.keys() & {"basic", "bearer"}:
            raise DeniedError(f"it wants a login by {', '.join(sorted(found))}, which we cannot")
        raise self._denied(endpoint)

    def _is_refused_for_good(self, challenge: Challenge) -> bool:
        return challenge.parameters.get("error") == "insufficient_scope"

    def _denied(self, endpoint: RegistryEndpoint) -> DeniedError:
        who = self.credentials(endpoint.account)
        host = "" if endpoint.account == DOCKER_ACCOUNT else f" {endpoint.location.host}"
        if who is None:
            # Hub and many others say the same of what is not there.
            missing = ", or there is no such repository" if endpoint.repository else ""
            return DeniedError(f"it wants a login{missing}", f"runtime login{host}")
        user = f"'{who.user}'" if who.user else "the login that is stored"
        return DeniedError(f"it does not let {user} in", f"runtime login{host}")

    def _fetch(
        self, endpoint: RegistryEndpoint, scope: str, challenge: Challenge, url: str
    ) -> Token:
        realm = challenge.parameters.get("realm", "")
        try:
            parts = urlsplit(realm)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeniedError("it names no place that gives tokens")
        who = self.credentials(endpoint.account)
        is_plain = parts.scheme == "http" and not is_loopback(parts.hostname)
        if who is not None and is_plain and url.startswith("https:"):
            raise DeniedError(f"it wants our password at {parts.hostname} over plain http")
        scopes = dict.fromkeys([*scope.split(), *challenge.parameters.get("scope", "").split()])
        service = challenge.parameters.get("service", "")
        if who is not None and who.identity_token:
            response = self._by_identity_token(realm, service, scopes, who, endpoint)
        else:
            response = self._by_password(realm, service, scopes, who, endpoint)
        if response.status in (400, 401, 403):
            response.close()
            raise self._denied(endpoint)
        if response.status != 200:
            response.close()
            raise RegistryError(
                f"{parts.hostname}, which gives its tokens, says {status_text(response.status)}"
            )
        return self._read(response, endpoint)

    def _by_password(
        self,
        realm: str,
        service: str,
        scopes: dict[str, None],
        who: Credentials | None,
        endpoint: RegistryEndpoint,
    ) -> Response:
        query = [("service", service)] if service else []
        query += [("scope", one) for one in scopes]
        headers = {}
        if who is not None:
            query += [("account", who.user), ("client_id", _CLIENT)]
            query += [("offline_token", "true")] if self._offline else []
            headers["Authorization"] = who.basic()
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        return self._transport.request("GET", url, endpoint.location.trust, headers)

    def _by_identity_token(
        self,
        realm: str,
        service: str,
        scopes: dict[str, None],
        who: Credentials,
        endpoint: RegistryEndpoint,
    ) -> Response:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": who.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return self._transport.request("POST", realm, endpoint.location.trust, headers, body=body)

    def _read(self, response: Response, endpoint: RegistryEndpoint) -> Token:
        try:
            found = jsontext.document(response.all(_LARGEST_ANSWER))
            text = found.get("token") or found.get("access_token")
            lifetime = float(found.get("expires_in") or _LIFETIME)
        except (ValueError, AttributeError, TypeError, OverflowError) as error:
            raise RegistryError("who gives its tokens gave none") from error
        if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
            raise RegistryError("who gives its tokens gave none")
        if isinstance(refresh := found.get("refresh_token"), str) and refresh:
            self.identity_tokens[endpoint.account] = refresh
        return Token(text, time.monotonic() + max(lifetime - _MARGIN, _MARGIN))
