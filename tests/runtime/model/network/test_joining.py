"""What `network connect` and `disconnect` leave for the next start."""

from __future__ import annotations

from runtime.model.container.spec import Join, Spec
from runtime.model.network import joining

SPEC = Spec("ab" * 32, "web", "image", "sha256:0", ("server",), aliases=("a",), address="10.0.0.9")
SHOP = Join("shop", ("till",), "10.1.0.9")


def test_a_further_network_comes_after_the_first() -> None:
    spec = joining.connected(SPEC, SHOP)

    assert joining.networks(spec) == (Join("bridge", ("a",), "10.0.0.9"), SHOP)


def test_a_further_network_goes_again() -> None:
    assert joining.disconnected(joining.connected(SPEC, SHOP), "shop") == SPEC


def test_the_next_one_comes_first_when_the_first_goes() -> None:
    spec = joining.disconnected(joining.connected(SPEC, SHOP), "bridge")

    assert joining.networks(spec) == (SHOP,)


def test_on_no_network_is_none_and_the_next_one_the_first() -> None:
    alone = joining.disconnected(SPEC, "bridge")

    assert joining.networks(alone) == (Join("none"),)
    assert joining.networks(joining.connected(alone, SHOP)) == (SHOP,)
