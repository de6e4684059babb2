"""`runtime login` and `logout`: who we are to a registry."""

from __future__ import annotations

import os
import sys

from runtime.cli import output
from runtime.language.commandline import Verb
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

LOGIN = Verb(
    "login",
    "[SERVER]",
    "Log in to a registry",
    """
  -p, --password string     The password; other users see it in the list of processes
      --password-stdin      Read the password from stdin
      --registries string   Read this file, not /etc/runtime/registries.yaml
  -u, --username string     The user's name
""",
    most=1,
    about="Without a SERVER it is docker.io.",
)


def login(layout: Layout, words: Arguments) -> int:
    """Ask the registry whether the credentials are right, and keep them."""
    del layout
    from runtime.registry import configuration, credentials
    from runtime.registry import sign_in as logins

    server = _server(words)
    settings = configuration.load(words.text("registries"))
    given = credentials.Credentials(*_ask(words))
    kept = logins.login(settings, server, given)
    try:
        place = credentials.store(logins.account(settings, server), kept)
    except OSError as error:
        reason = f"'{error.filename}': {error.strerror}"
        raise RuntimeFailure(f"cannot keep the login: {reason}", code=1) from None
    if place.startswith("/"):
        sys.stderr.write(f"The login is kept in {place}, readable by you alone.\n")
    output.say("Login Succeeded")
    return 0


def _server(words: Arguments) -> str:
    text = words.operands[0] if words.operands else names.DEFAULT_DOMAIN
    server = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    try:
        domain = names.parse(f"{server}/x").domain
    except RuntimeFailure:
        domain = ""
    if not domain or server not in (domain, "index.docker.io"):
        raise RuntimeFailure(f"'{text}' is no registry: it is HOST[:PORT]", code=1)
    return domain


def _ask(words: Arguments) -> tuple[str, str]:
    """Return (user, password) from the options, stdin, or the person at the terminal."""
    user, password = words.text("username"), words.text("password")
    if words.flag("password-stdin"):
        if password:
            raise RuntimeFailure("--password and --password-stdin are mutually exclusive", code=1)
        if not user:
            raise RuntimeFailure("--password-stdin needs --username beside it", code=1)
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    elif password:
        sys.stderr.write("WARNING! --password is seen by others; --password-stdin is not.\n")
    is_asked = not (user and password)
    if is_asked and not os.isatty(0):
        raise RuntimeFailure(
            "cannot ask for a name and a password: stdin is not a terminal",
            "runtime login -u NAME --password-stdin SERVER < FILE",
            code=1,
        )
    if not user:
        sys.stdout.write("Username: ")
        sys.stdout.flush()
        user = sys.stdin.readline().strip()
    if not password:
        from getpass import getpass

        password = getpass("Password: ")
    if not user or not password:
        raise RuntimeFailure("a login needs a name and a password", code=1)
    return user, password
