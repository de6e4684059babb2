"""Which function is behind which verb.  `runtime.cli.main` imports its module when it is called.

A function ``rm`` in module ``images`` has its table in ``images.RM``; a ``_`` at its end, which
keeps it apart from what it shadows, is not part of the table's name.
"""

from __future__ import annotations

INDEX = {
    "attach": "attaching.attach",
    "commit": "changes.commit",
    "create": "run.create_",
    "diff": "changes.diff",
    "export": "changes.export",
    "history": "images.history",
    "images": "images.ls",
    "import": "archives.import_",
    "inspect": "inspect.inspect",
    "kill": "life.kill",
    "load": "archives.load",
    "logs": "logs.logs",
    "pause": "life.pause",
    "ps": "ps.ls",
    "rename": "life.rename",
    "restart": "life.restart",
    "rm": "removing.rm",
    "rmi": "images.rm",
    "run": "run.run",
    "save": "archives.save",
    "start": "life.start",
    "stop": "life.stop",
    "tag": "images.tag",
    "unpause": "life.unpause",
    "update": "removing.update",
    "wait": "life.wait",
    "image history": "images.history",
    "image import": "archives.import_",
    "image inspect": "inspect.image",
    "image load": "archives.load",
    "image ls": "images.ls",
    "image list": "images.ls",
    "image prune": "images.prune",
    "image rm": "images.rm",
    "image remove": "images.rm",
    "image save": "archives.save",
    "image tag": "images.tag",
    "container attach": "attaching.attach",
    "container commit": "changes.commit",
    "container create": "run.create_",
    "container diff": "changes.diff",
    "container export": "changes.export",
    "container inspect": "inspect.container",
    "container kill": "life.kill",
    "container list": "ps.ls",
    "container logs": "logs.logs",
    "container ls": "ps.ls",
    "container pause": "life.pause",
    "container prune": "removing.prune",
    "container ps": "ps.ls",
    "container rename": "life.rename",
    "container remove": "removing.rm",
    "container restart": "life.restart",
    "container rm": "removing.rm",
    "container run": "run.run",
    "container start": "life.start",
    "container stop": "life.stop",
    "container unpause": "life.unpause",
    "container update": "removing.update",
    "container wait": "life.wait",
    "network inspect": "inspect.network",
    "volume inspect": "inspect.volume",
}
GROUPS = {
    "container": "Containers",
    "image": "Images",
    "network": "Networks",
    "system": "The store as a whole",
    "volume": "Volumes",
}


def aliases(target: str) -> tuple[str, ...]:
    """Return every name of one function's verb, the short ones first."""
    found = [name for name, place in INDEX.items() if place == target]
    return tuple(sorted(found, key=lambda name: (" " in name, name)))
