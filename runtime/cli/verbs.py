"""Which verb is where: its module is imported when the verb is called, and no other."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from runtime.language.commandline import Arguments, Verb
    from runtime.store.layout import Layout

    Function: TypeAlias = Callable[[Layout, Arguments], int]
    Entry: TypeAlias = tuple[str, str, str]  # its module, its function there, its table there

INDEX: dict[str, Entry] = {
    "attach": ("runtime.cli.containers.attaching", "attach", "ATTACH"),
    "build": ("runtime.cli.images.build", "build", "BUILD"),
    "commit": ("runtime.cli.containers.changes", "commit", "COMMIT"),
    "completion": ("runtime.cli.completion", "completion", "COMPLETION"),
    "cp": ("runtime.cli.containers.copying", "cp", "CP"),
    "create": ("runtime.cli.containers.run", "create_", "CREATE"),
    "ctl": ("runtime.cli.containers.executing", "ctl", "CTL"),
    "diff": ("runtime.cli.containers.changes", "diff", "DIFF"),
    "events": ("runtime.cli.event_verbs", "events", "EVENTS"),
    "exec": ("runtime.cli.containers.executing", "exec_", "EXEC"),
    "export": ("runtime.cli.containers.changes", "export", "EXPORT"),
    "history": ("runtime.cli.images.image_verbs", "history", "HISTORY"),
    "images": ("runtime.cli.images.image_verbs", "ls", "LS"),
    "import": ("runtime.cli.images.archives", "import_", "IMPORT"),
    "info": ("runtime.cli.system", "info", "INFO"),
    "inspect": ("runtime.cli.inspect", "inspect", "INSPECT"),
    "kill": ("runtime.cli.containers.life", "kill", "KILL"),
    "load": ("runtime.cli.images.archives", "load", "LOAD"),
    "login": ("runtime.cli.images.login", "login", "LOGIN"),
    "logout": ("runtime.cli.images.logout", "logout", "LOGOUT"),
    "logs": ("runtime.cli.containers.logs", "logs", "LOGS"),
    "pause": ("runtime.cli.containers.life", "pause", "PAUSE"),
    "port": ("runtime.cli.containers.observe", "port", "PORT"),
    "ps": ("runtime.cli.containers.ps", "ls", "LS"),
    "pull": ("runtime.cli.images.pull_verb", "pull", "PULL"),
    "push": ("runtime.cli.images.push_verb", "push", "PUSH"),
    "rename": ("runtime.cli.containers.life", "rename", "RENAME"),
    "restart": ("runtime.cli.containers.life", "restart", "RESTART"),
    "rm": ("runtime.cli.containers.removing", "rm", "RM"),
    "rmi": ("runtime.cli.images.image_verbs", "rm", "RM"),
    "run": ("runtime.cli.containers.run", "run", "RUN"),
    "save": ("runtime.cli.images.archives", "save", "SAVE"),
    "start": ("runtime.cli.containers.life", "start", "START"),
    "stats": ("runtime.cli.containers.stats", "stats", "STATS"),
    "stop": ("runtime.cli.containers.life", "stop", "STOP"),
    "tag": ("runtime.cli.images.image_verbs", "tag", "TAG"),
    "top": ("runtime.cli.containers.observe", "top", "TOP"),
    "unpause": ("runtime.cli.containers.life", "unpause", "UNPAUSE"),
    "update": ("runtime.cli.containers.removing", "update", "UPDATE"),
    "version": ("runtime.cli.system", "version", "VERSION"),
    "wait": ("runtime.cli.containers.life", "wait", "WAIT"),
    "builder build": ("runtime.cli.images.build", "build", "BUILD"),
    "builder prune": ("runtime.cli.images.build", "prune", "PRUNE"),
    "image build": ("runtime.cli.images.build", "build", "BUILD"),
    "image history": ("runtime.cli.images.image_verbs", "history", "HISTORY"),
    "image import": ("runtime.cli.images.archives", "import_", "IMPORT"),
    "image inspect": ("runtime.cli.inspect", "image", "IMAGE"),
    "image load": ("runtime.cli.images.archives", "load", "LOAD"),
    "image ls": ("runtime.cli.images.image_verbs", "ls", "LS"),
    "image list": ("runtime.cli.images.image_verbs", "ls", "LS"),
    "image prune": ("runtime.cli.images.image_verbs", "prune", "PRUNE"),
    "image pull": ("runtime.cli.images.pull_verb", "pull", "PULL"),
    "image push": ("runtime.cli.images.push_verb", "push", "PUSH"),
    "image rm": ("runtime.cli.images.image_verbs", "rm", "RM"),
    "image remove": ("runtime.cli.images.image_verbs", "rm", "RM"),
    "image save": ("runtime.cli.images.archives", "save", "SAVE"),
    "image tag": ("runtime.cli.images.image_verbs", "tag", "TAG"),
    "container attach": ("runtime.cli.containers.attaching", "attach", "ATTACH"),
    "container commit": ("runtime.cli.containers.changes", "commit", "COMMIT"),
    "container cp": ("runtime.cli.containers.copying", "cp", "CP"),
    "container create": ("runtime.cli.containers.run", "create_", "CREATE"),
    "container diff": ("runtime.cli.containers.changes", "diff", "DIFF"),
    "container exec": ("runtime.cli.containers.executing", "exec_", "EXEC"),
    "container export": ("runtime.cli.containers.changes", "export", "EXPORT"),
    "container inspect": ("runtime.cli.inspect", "container", "CONTAINER"),
    "container kill": ("runtime.cli.containers.life", "kill", "KILL"),
    "container list": ("runtime.cli.containers.ps", "ls", "LS"),
    "container logs": ("runtime.cli.containers.logs", "logs", "LOGS"),
    "container ls": ("runtime.cli.containers.ps", "ls", "LS"),
    "container pause": ("runtime.cli.containers.life", "pause", "PAUSE"),
    "container port": ("runtime.cli.containers.observe", "port", "PORT"),
    "container prune": ("runtime.cli.containers.removing", "prune", "PRUNE"),
    "container ps": ("runtime.cli.containers.ps", "ls", "LS"),
    "container rename": ("runtime.cli.containers.life", "rename", "RENAME"),
    "container remove": ("runtime.cli.containers.removing", "rm", "RM"),
    "container restart": ("runtime.cli.containers.life", "restart", "RESTART"),
    "container rm": ("runtime.cli.containers.removing", "rm", "RM"),
    "container run": ("runtime.cli.containers.run", "run", "RUN"),
    "container start": ("runtime.cli.containers.life", "start", "START"),
    "container stats": ("runtime.cli.containers.stats", "stats", "STATS"),
    "container stop": ("runtime.cli.containers.life", "stop", "STOP"),
    "container top": ("runtime.cli.containers.observe", "top", "TOP"),
    "container unpause": ("runtime.cli.containers.life", "unpause", "UNPAUSE"),
    "container update": ("runtime.cli.containers.removing", "update", "UPDATE"),
    "container wait": ("runtime.cli.containers.life", "wait", "WAIT"),
    "network connect": ("runtime.cli.network_verbs", "connect", "CONNECT"),
    "network create": ("runtime.cli.network_verbs", "create", "CREATE"),
    "network disconnect": ("runtime.cli.network_verbs", "disconnect", "DISCONNECT"),
    "network inspect": ("runtime.cli.inspect", "network", "NETWORK"),
    "network list": ("runtime.cli.network_verbs", "ls", "LS"),
    "network ls": ("runtime.cli.network_verbs", "ls", "LS"),
    "network prune": ("runtime.cli.network_verbs", "prune", "PRUNE"),
    "network remove": ("runtime.cli.network_verbs", "rm", "RM"),
    "network rm": ("runtime.cli.network_verbs", "rm", "RM"),
    "system events": ("runtime.cli.event_verbs", "events", "EVENTS"),
    "system df": ("runtime.cli.disk", "df", "DF"),
    "system info": ("runtime.cli.system", "info", "INFO"),
    "system prune": ("runtime.cli.disk", "prune", "PRUNE"),
    "volume create": ("runtime.cli.volume_verbs", "create", "CREATE"),
    "volume inspect": ("runtime.cli.inspect", "volume", "VOLUME"),
    "volume list": ("runtime.cli.volume_verbs", "ls", "LS"),
    "volume ls": ("runtime.cli.volume_verbs", "ls", "LS"),
    "volume prune": ("runtime.cli.volume_verbs", "prune", "PRUNE"),
    "volume remove": ("runtime.cli.volume_verbs", "rm", "RM"),
    "volume rm": ("runtime.cli.volume_verbs", "rm", "RM"),
}
GROUPS = {
    "builder": "The build cache",
    "container": "Containers",
    "image": "Images",
    "network": "Networks",
    "system": "The store as a whole",
    "volume": "Volumes",
}


def find(name: str) -> tuple[Verb, Function]:
    """Import what is behind the verb; *name* is in the index."""
    module_name, function_name, table_name = INDEX[name]
    module = __import__(module_name, fromlist=["*"])
    table: Verb = getattr(module, table_name)
    function: Function = getattr(module, function_name)
    return table, function


def aliases(entry: Entry) -> tuple[str, ...]:
    """Return every name of one verb, the short ones first."""
    names = [name for name, other in INDEX.items() if other == entry]
    return tuple(sorted(names, key=lambda name: (" " in name, name)))
