"""A name and the places that may have it: asked in turn, and what each of them said."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.registry import settings as places
from runtime.registry.auth import Authority
from runtime.registry.client import PULL, RegistryClient
from runtime.registry.problems import (
    DeniedError,
    MissingError,
    RegistryError,
    RegistryUnreachableError,
)
from runtime.registry.transport import Transport
from supervise.model.record import Record
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TypeVar

    from runtime.model.image.reference import Reference
    from runtime.registry.credentials import Credentials
    from runtime.registry.settings import Settings

    T = TypeVar("T")

_UNKNOWN_MACHINE = "its name does not resolve"


class Attempt(Record):
    """What one place said."""

    client: RegistryClient
    error: RegistryError

    def __str__(self) -> str:
        kind = "mirror " if self.client.endpoint.is_mirror else ""
        return f"tried {kind}{self.client.shown}: {self.error.reason}"


class ImageSource:
    """Everything that may have *reference*, sharing connections and tokens."""

    def __init__(
        self,
        settings: Settings,
        reference: Reference,
        credentials: Callable[[str], Credentials | None],
        action: str = PULL,
    ) -> None:
        self.reference = reference
        self._verb = "pull" if action == PULL else "push"
        self.transport = Transport(settings.patience)
        self.authority = Authority(self.transport, credentials)
        found = places.endpoints(settings, reference)
        if action != PULL:
            found = tuple(endpoint for endpoint in found if not endpoint.is_mirror)
        self.clients = [
            RegistryClient(one, self.transport, self.authority, action) for one in found
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.transport.stop()
        self.transport.close()

    def first(self, ask: Callable[[RegistryClient], T]) -> T:
        """Return the first answer; who gave it is asked first from now on.

        Raises:
            RuntimeFailure: no endpoint has it; quotes each answer.
        """
        attempts = []
        for client in list(self.clients):
            try:
                found = ask(client)
            except RegistryError as error:
                attempts.append(Attempt(client, error))
            else:
                self.clients.remove(client)
                self.clients.insert(0, client)
                return found
        raise self._failure(attempts)

    def _failure(self, attempts: list[Attempt]) -> RuntimeFailure:
        name = self.reference
        if not attempts:
            return RuntimeFailure(
                f"cannot {self._verb} {name.familiar}: registries.yaml blocks {name.domain}",
                "" if self._verb == "push" else "and it has no mirror there",
                code=1,
            )
        tried = [str(attempt) for attempt in attempts]
        hints = [attempt.error.hint for attempt in attempts if attempt.error.hint]
        if self._verb == "pull" and (missing := self._missing(attempts)):
            message, hint = missing
            lines = [hint, *(tried if len(tried) > 1 else ())]
            return RuntimeFailure(message, "\n".join(filter(None, lines)), code=1)
        if len(attempts) == 1:
            client, error = attempts[0].client, attempts[0].error
            message = f"cannot {self._verb} {name.familiar}: {client.shown}: {error.reason}"
            return RuntimeFailure(message, error.hint or self._advice(error), code=1)
        return RuntimeFailure(
            f"cannot {self._verb} {name.familiar}: none of {len(tried)} places has it to give",
            "\n".join(dict.fromkeys([*tried, *hints])),
            code=1,
        )

    def _missing(self, attempts: list[Attempt]) -> tuple[str, str] | None:
        """Return (what is not there, what is) if one place answered and has no such thing."""
        name = self.reference
        for attempt in attempts:
            if not isinstance(attempt.error, MissingError):
                continue
            try:
                tags = attempt.client.tags()
            except RegistryError:
                continue
            if not tags:
                continue
            if name.digest:
                return f"no {name.digest} in {name.familiar_name}", ""
            near = closest(name.tag, tags)
            hint = f'did you mean "{near}"?' if near else f"there is {names.listed(tags)}"
            return f'no tag "{name.tag}" of {name.familiar_name}', hint
        answered = [a for a in attempts if not isinstance(a.error, RegistryUnreachableError)]
        if answered and all(isinstance(a.error, MissingError) for a in answered):
            where = " and ".join(a.client.shown for a in answered)
            return f"cannot pull {name.familiar}: there is no such repository at {where}", ""
        return None

    def _advice(self, error: RegistryError) -> str:
        if isinstance(error, DeniedError):
            return "it may also be that there is no such repository"
        if isinstance(error, RegistryUnreachableError) and error.reason == _UNKNOWN_MACHINE:
            if self.reference.domain == names.DEFAULT_DOMAIN:
                return "is this machine connected?  registries.yaml may name a mirror"
            return f"is '{self.reference.domain}' the registry you mean?"
        return ""
