"""`runtime logout`: forget a login."""

from __future__ import annotations

from runtime.cli import output
from runtime.language.commandline import Verb
from runtime.model.image import reference as names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

LOGOUT = Verb(
    "logout",
    "[SERVER]",
    "Forget the login to a registry",
    """
      --registries string   Read this file, not /etc/runtime/registries.yaml
""",
    most=1,
    about="Without a SERVER it is docker.io.",
)


def logout(layout: Layout, words: Arguments) -> int:
    """Forget a login; docker's own file is docker's to change."""
    del layout
    from runtime.registry import configuration, credentials
    from runtime.registry import settings as places

    text = words.operands[0] if words.operands else names.DEFAULT_DOMAIN
    server = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    settings = configuration.load(words.text("registries"))
    account = places.account_of(places.location_of(settings, server).host)
    if credentials.erase(account):
        output.say(f"Removing login credentials for {server}")
    else:
        output.say(f"Not logged in to {server}")
    if credentials.find(account) is not None:
        output.say(f"{credentials.docker_file()} still has a login for it: docker logout {server}")
    return 0
