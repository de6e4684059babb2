"""registries.yaml: which registries have mirrors, speak plain http, have their own authority.

configs/registries.yaml explains every key.  Each problem is told with its line and column, all of
them at once.
"""

from __future__ import annotations

import os

from runtime.model.errors import RuntimeFailure
from runtime.registry.settings import Settings

DEFAULT_FILE = "/etc/runtime/registries.yaml"


def load(path: str = "") -> Settings:
    """Return what *path*, else ``$RUNTIME_REGISTRIES``, else the default file, says.

    Without a default file everything is as without registries.yaml.

    Raises:
        RuntimeFailure: a file that was named is not there, or what is in it makes no sense.
    """
    named = path or os.environ.get("RUNTIME_REGISTRIES", "")
    try:
        with open(named or DEFAULT_FILE, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        if not named:
            return Settings()
        raise RuntimeFailure(f"cannot read '{named}': there is no such file", code=1) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeFailure(f"cannot read '{named or DEFAULT_FILE}': {error}", code=1) from None
    from runtime.registry import decode

    return decode.settings(text, named or DEFAULT_FILE)
