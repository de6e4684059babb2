"""What a person is told when a connection fails: urllib3's exceptions in words."""

from __future__ import annotations

import errno
import os
import ssl

from urllib3 import exceptions

from runtime.registry.problems import RegistryUnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.registry.settings import Patience

_TRUST_HINT = "if you trust it, give its authority as `ca:` in registries.yaml"
_PLAIN_HINT = "if it speaks plain http, say `http: true` in registries.yaml"
_FINAL = frozenset({errno.ECONNREFUSED, errno.ENETUNREACH, errno.EACCES, errno.EPERM})


def unreachable(error: Exception, patience: Patience) -> RegistryUnreachableError:
    """Return *error* in words, with a hint where there is one."""
    cause = _cause(error)
    if isinstance(error, exceptions.NameResolutionError):
        return RegistryUnreachableError("its name does not resolve", is_final=True)
    if isinstance(error, exceptions.ProxyError):
        return RegistryUnreachableError(f"the proxy does not let us through: {_plain(cause)}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted: {cause.verify_message}"
        return RegistryUnreachableError(reason, _TRUST_HINT, is_final=True)
    if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return RegistryUnreachableError("it does not speak TLS", _PLAIN_HINT, is_final=True)
    if isinstance(cause, ssl.SSLError):
        return RegistryUnreachableError(f"TLS: {cause.reason or cause}", is_final=True)
    is_refusal = isinstance(error, exceptions.NewConnectionError)  # a timeout to urllib3 too
    if isinstance(error, exceptions.ConnectTimeoutError) and not is_refusal:
        return RegistryUnreachableError(f"no connection within {patience.connect:g} s")
    if isinstance(error, exceptions.ReadTimeoutError | TimeoutError):
        return RegistryUnreachableError(f"nothing came for {patience.stall:g} s")
    if isinstance(cause, OSError) and cause.errno:
        reason = os.strerror(cause.errno).lower()
        return RegistryUnreachableError(reason, is_final=cause.errno in _FINAL)
    if isinstance(error, exceptions.ProtocolError | exceptions.IncompleteRead):
        return RegistryUnreachableError("the connection was cut")
    return RegistryUnreachableError(_plain(error))


def _cause(error: BaseException) -> BaseException:
    """Return the innermost system's or TLS error behind *error*, itself when there is none."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        inner = at.__cause__ or at.__context__
        at = inner or next((arg for arg in at.args if isinstance(arg, BaseException)), None)
    system = [one for one in seen if isinstance(one, OSError) and not _is_ours(one)]
    return system[-1] if system else error


def _is_ours(error: BaseException) -> bool:
    return isinstance(error, exceptions.HTTPError)


def _plain(error: BaseException) -> str:
    return str(error) or type(error).__name__
