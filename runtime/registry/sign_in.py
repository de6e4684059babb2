"""Logging in: do these credentials open the registry?  What is to be kept if they do."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.registry import settings as places
from runtime.registry.auth import Authority
from runtime.registry.client import RegistryClient
from runtime.registry.credentials import Credentials
from runtime.registry.problems import RegistryError
from runtime.registry.settings import RegistryEndpoint
from runtime.registry.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.registry.settings import Settings


def account(settings: Settings, server: str) -> str:
    """Return under what name the credentials for *server* are kept."""
    return places.account_of(places.location_of(settings, server).host)


def login(settings: Settings, server: str, credentials: Credentials) -> Credentials:
    """Return what to keep: *credentials*, or the identity token the registry gave for them.

    Raises:
        RuntimeFailure: they do not open it, or it cannot be reached.
    """
    location = places.location_of(settings, server)
    endpoint = RegistryEndpoint(location, "", places.account_of(location.host))
    transport = Transport(settings.patience)
    authority = Authority(transport, lambda account: credentials, offline=True)  # noqa: ARG005
    try:
        RegistryClient(endpoint, transport, authority, "").check_login()
    except RegistryError as error:
        hint = "" if error.hint.startswith("runtime login") else error.hint
        message = f"cannot log in to {server}: {error.reason}"
        raise RuntimeFailure(message, hint, code=1) from error
    finally:
        transport.close()
    token = authority.identity_tokens.get(endpoint.account)
    return Credentials(credentials.user, identity_token=token) if token else credentials
