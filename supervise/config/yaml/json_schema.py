"""The JSON Schema of supervise.yaml, for editors; made of the declarations in `schema`."""

from __future__ import annotations

from supervise.config.yaml.keys.schema import SERVICE, TOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def json_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12."""
    top = TOP.json_schema()
    top["type"] = "object"
    services = top["properties"]["services"]
    services["additionalProperties"] = {"$ref": "#/$defs/service"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "supervise.yaml",
        "description": "Services that supervise runs in a container.",
        **top,
        "$defs": {"service": SERVICE.json_schema()},
    }
