"""Builds as tests want to see them: which instructions ran, which came from the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.runtime import Runtime


class Built(NamedTuple):
    """What a build said of itself."""

    image: str  # id
    ran: list[str]  # instructions carried out, FROM left out, in the order of their begin
    cached: list[str]
    output: str
    events: list[dict[str, Any]]


def build(runtime: Runtime, context: Path, *options: str) -> Built:
    """Build *context* without network and return what happened."""
    words = ("build", "--network=none", "--progress=json", *options, str(context))
    done = runtime(*words)
    events = [json.loads(line) for line in done.stderr.splitlines()]
    texts = {
        (event["stage"], event["step"]): event["instruction"]
        for event in events
        if event["event"] == "step.started"
    }
    finished = {
        (event["stage"], event["step"]): event["cached"]
        for event in events
        if event["event"] == "step.finished"
    }
    steps = {key: text for key, text in texts.items() if key[1] > 1}
    return Built(
        image=next(event["id"] for event in events if event["event"] == "image.written"),
        ran=[text for key, text in steps.items() if not finished[key]],
        cached=[text for key, text in steps.items() if finished[key]],
        output="".join(event["data"] for event in events if event["event"] == "step.output"),
        events=events,
    )


def write(context: Path, dockerfile: str, **files: str) -> Path:
    """Write a Dockerfile and files beside it (`a_txt` is a.txt); return *context*."""
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    for name, text in files.items():
        (context / name.replace("_", ".")).write_text(text)
    return context
