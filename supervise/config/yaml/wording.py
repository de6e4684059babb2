"""How supervise.yaml writes what the checks between services name."""

from __future__ import annotations

from supervise.config.declared import Wording

WORDING = Wording(
    path="services.{name}.{key}",
    declare="declare it, or include the file that does",
    delete_edge="delete the line",
    break_cycle="remove one of them",
    select="set SUPERVISE_PROFILES={profile}, or write required: false",
    healthcheck="add `healthcheck` to '{other}', or wait for service_ready",
    oneshot="add `type: oneshot` to '{other}', or wait for service_started",
    grace="raise shutdown.grace",
    one_terminal="one service at most can have stdin: tty",
)
