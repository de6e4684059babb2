"""Who we are to registries: docker's config.json, ours and docker's own, and credential helpers.

`login` writes ours, ``$RUNTIME_CONFIG/auth.json`` or ``~/.config/runtime/auth.json``, mode 0600;
docker's is only read.  Nothing here shows a secret: not in a repr, not in a message.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess

from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.registry.settings import DOCKER_ACCOUNT, account_of
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TOKEN_USER = "<token>"  # noqa: S105 - what a credential helper names the user of an identity token
_HELPER_TIMEOUT = 30.0  # seconds


class Credentials(Record):
    """A name and its password, or an identity token."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"

    def basic(self) -> str:
        """Return the Authorization header of basic authentication."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def own_file() -> str:
    """Return where `login` writes."""
    directory = os.environ.get("RUNTIME_CONFIG") or os.path.expanduser("~/.config/runtime")
    return f"{directory}/auth.json"


def docker_file() -> str:
    """Return where docker keeps its own."""
    return f"{os.environ.get('DOCKER_CONFIG') or os.path.expanduser('~/.docker')}/config.json"


def find(account: str) -> Credentials | None:
    """Return the credentials for *account* (`settings.account_of`), ours before docker's.

    Raises:
        RuntimeFailure: a file is damaged, or a credential helper fails.
    """
    for path in (own_file(), docker_file()):
        document = _read(path)
        if found := _from_document(document, account, path):
            return found
    return None


def store(account: str, credentials: Credentials) -> str:
    """Keep *credentials* and return where: a file's path, or a helper's name."""
    path = own_file()
    document = _read(path)
    if helper := _helper(document, account):
        user = _TOKEN_USER if credentials.identity_token else credentials.user
        secret = credentials.identity_token or credentials.password
        said = {"ServerURL": account, "Username": user, "Secret": secret}
        _call(helper, "store", json.dumps(said))
        return f"docker-credential-{helper}"
    pair = f"{credentials.user}:{credentials.password}"
    entry: dict[str, Any] = {"auth": base64.b64encode(pair.encode()).decode()}
    if credentials.identity_token:
        entry["auth"] = base64.b64encode(f"{credentials.user}:".encode()).decode()
        entry["identitytoken"] = credentials.identity_token
    document.setdefault("auths", {})[account] = entry
    _write(path, document)
    return path


def erase(account: str) -> bool:
    """Forget the credentials for *account*; False when we had none."""
    path = own_file()
    document = _read(path)
    if helper := _helper(document, account):
        _call(helper, "erase", account)
        return True
    auths = document.get("auths") or {}
    mine = [key for key in auths if _account(key) == account]
    for key in mine:
        del auths[key]
    if mine:
        _write(path, document)
    return bool(mine)


def _from_document(document: dict[str, Any], account: str, path: str) -> Credentials | None:
    if (helper := _helper(document, account)) and (found := _ask(helper, account)):
        return found
    for key, entry in (document.get("auths") or {}).items():
        if _account(key) == account and isinstance(entry, dict):
            return _decode(entry, key, path)
    return None


def _decode(entry: dict[str, Any], key: str, path: str) -> Credentials | None:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            pair = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except ValueError:
            raise RuntimeFailure(f"'{path}': the auth of '{key}' is not base64", code=1) from None
        user, _, password = pair.rstrip("\0").partition(":")
    token = str(entry.get("identitytoken") or "")
    return Credentials(user, password, token) if user or token else None


def _helper(document: dict[str, Any], account: str) -> str:
    """Return the name of the credential helper for *account*, empty without one."""
    for key, name in (document.get("credHelpers") or {}).items():
        if _account(key) == account:
            return str(name)
    return str(document.get("credsStore") or "")


def _ask(helper: str, account: str) -> Credentials | None:
    answer = _call(helper, "get", account)
    if not answer:
        return None
    try:
        found = json.loads(answer)
        user, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        message = f"docker-credential-{helper} gave no credentials for {account}"
        raise RuntimeFailure(message, code=1) from None
    if user == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(user, secret) if user or secret else None


def _call(helper: str, verb: str, text: str) -> str:
    """Run the helper; empty when it does not know the account."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, verb],
            input=text,
            capture_output=True,
            text=True,
            timeout=_HELPER_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        hint = "install it, or take it out of credHelpers and credsStore"
        raise RuntimeFailure(f"cannot run {program}: it is not there", hint, code=1) from None
    except subprocess.TimeoutExpired:
        raise RuntimeFailure(f"{program} {verb} does not end", code=1) from None
    if done.returncode == 0:
        return done.stdout
    said = (done.stdout + done.stderr).strip()
    if "not found" in said:  # docker's own protocol: only the text distinguishes errors
        return ""
    raise RuntimeFailure(f"{program} {verb}: {said or f'exit code {done.returncode}'}", code=1)


def _account(key: str) -> str:
    """Return the account that a key of ``auths`` means: older dockers wrote URLs."""
    if key == DOCKER_ACCOUNT:
        return key
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return account_of(host)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise RuntimeFailure(f"cannot read '{path}': {error}", code=1) from None
    if not isinstance(found, dict):
        raise RuntimeFailure(f"cannot read '{path}': it is not a JSON object", code=1)
    return found


def _write(path: str, document: dict[str, Any]) -> None:
    directory = os.path.dirname(path)
    os.makedirs(directory, 0o700, exist_ok=True)
    temporary = f"{directory}/.tmp-auth-{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
