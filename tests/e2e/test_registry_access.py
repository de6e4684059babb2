"""Who may pull and push: passwords, tokens, certificates; login and logout."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.registry import Registry
from tests.support.runtime_cli import Runtime, busybox_tar
from tests.support.token_server import TokenServer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "busybox", "docker-registry", "openssl"),
]
PASSWORD = "correct horse"
# What `htpasswd -nbB -C 4 me "correct horse"` writes: the registry knows bcrypt alone.
HTPASSWD = "me:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Return a registry that wants a password."""
    directory = tmp_path_factory.mktemp("basic")
    (directory / "htpasswd").write_text(HTPASSWD)
    made = Registry(
        directory, auth={"htpasswd": {"realm": "r", "path": str(directory / "htpasswd")}}
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    made = TokenServer(tmp_path_factory.mktemp("tokens"), {"me": PASSWORD})
    made.public.add("public")
    yield made
    made.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[Registry]:
    """Return a registry that wants tokens."""
    made = Registry(tmp_path_factory.mktemp("guarded"), auth=tokens.configuration())
    yield made
    made.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Registry]:
    """Return a registry with a certificate of an authority that nobody knows."""
    files = {"certificate": str(authority.certificate), "key": str(authority.key)}
    made = Registry(tmp_path_factory.mktemp("tls"), http={"tls": files})
    yield made
    made.close()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """Return a store with the image ``own``, and no login."""
    made = Runtime(tmp_path)
    made.environment["RUNTIME_CONFIG"] = str(tmp_path / "config")
    made.environment["DOCKER_CONFIG"] = str(tmp_path / "docker")
    made("import", str(busybox_tar(tmp_path / "bb.tar")), "own")
    yield made
    made.close()


def login(runtime: Runtime, registry: Registry, password: str = PASSWORD) -> str:
    return runtime("login", "-u", "me", "--password-stdin", registry.host, text=f"{password}\n")


def auths(runtime: Runtime) -> dict[str, dict[str, str]]:
    path = Path(runtime.environment["RUNTIME_CONFIG"], "auth.json")
    found: dict[str, dict[str, str]] = json.loads(path.read_text())["auths"]
    return found


def push_and_pull(runtime: Runtime, name: str) -> None:
    """Push the image as *name*, forget it and pull it."""
    runtime("tag", "own", name)
    runtime("push", name)
    runtime("rmi", "-f", name)
    runtime("pull", name)
    assert runtime.inspect(name)["Id"] == runtime.inspect("own")["Id"]


def test_with_a_password_that_was_stored_all_is_open(basic: Registry, runtime: Runtime) -> None:
    assert login(runtime, basic) == "Login Succeeded"

    push_and_pull(runtime, f"{basic.host}/own")


def test_without_a_login_one_is_asked_for(basic: Registry, runtime: Runtime) -> None:
    code, said = runtime.refusal("pull", f"{basic.host}/own")

    assert code == 1
    assert "it wants a login" in said
    assert f"runtime login {basic.host}" in said


def test_a_wrong_password_is_not_stored(basic: Registry, runtime: Runtime) -> None:
    done = runtime.run("login", "-u", "me", "--password-stdin", basic.host, text="wrong")

    assert done.returncode == 1
    assert "it does not let 'me' in" in done.stderr
    assert "wrong" not in done.stderr + done.stdout
    assert not Path(runtime.environment["RUNTIME_CONFIG"]).exists()


def test_after_a_logout_nothing_is_known(basic: Registry, runtime: Runtime) -> None:
    login(runtime, basic)

    assert runtime("logout", basic.host) == f"Removing login credentials for {basic.host}"

    assert auths(runtime) == {}
    assert runtime("logout", basic.host) == f"Not logged in to {basic.host}"


def test_docker_s_login_is_ours_too(basic: Registry, runtime: Runtime) -> None:
    login(runtime, basic)
    config = Path(runtime.environment["RUNTIME_CONFIG"])
    docker = Path(runtime.environment["DOCKER_CONFIG"])
    docker.mkdir()
    (config / "auth.json").rename(docker / "config.json")

    push_and_pull(runtime, f"{basic.host}/docker-login")


def test_with_tokens_all_is_open(guarded: Registry, tokens: TokenServer, runtime: Runtime) -> None:
    login(runtime, guarded)

    push_and_pull(runtime, f"{guarded.host}/own")

    scopes = {scope for _, query, _ in tokens.requests for scope in query.get("scope", ())}
    assert {"repository:own:pull", "repository:own:pull,push"} <= scopes


def test_anybody_gets_a_token_for_what_is_public(guarded: Registry, runtime: Runtime) -> None:
    login(runtime, guarded)
    name = f"{guarded.host}/public"
    runtime("tag", "own", name)
    runtime("push", name)
    runtime("rmi", "-f", name)
    runtime("logout", guarded.host)

    runtime("pull", name)

    assert runtime.inspect(name)["Id"] == runtime.inspect("own")["Id"]


def test_a_token_that_allows_nothing_is_told(guarded: Registry, runtime: Runtime) -> None:
    code, said = runtime.refusal("pull", f"{guarded.host}/secret")

    assert code == 1
    assert "it wants a login" in said


def test_tokens_that_expire_are_fetched_again(
    guarded: Registry, tokens: TokenServer, runtime: Runtime
) -> None:
    login(runtime, guarded)
    tokens.lifetime = 1
    try:
        push_and_pull(runtime, f"{guarded.host}/short")
    finally:
        tokens.lifetime = 300


def test_an_identity_token_is_kept_instead_of_the_password(
    guarded: Registry, tokens: TokenServer, runtime: Runtime
) -> None:
    tokens.gives_identity_tokens = True
    try:
        login(runtime, guarded)
        before = len(tokens.requests)

        push_and_pull(runtime, f"{guarded.host}/identity")

        assert auths(runtime)[guarded.host]["identitytoken"] == "identity-of-me"
        assert {method for method, _, _ in tokens.requests[before:]} == {"POST"}
    finally:
        tokens.gives_identity_tokens = False


def test_a_certificate_of_an_unknown_authority_is_refused(tls: Registry, runtime: Runtime) -> None:
    code, said = runtime.refusal("pull", f"{tls.host}/own")

    assert code == 1
    assert "its certificate is not trusted" in said
    assert "`ca:` in registries.yaml" in said


@pytest.mark.parametrize("how", ["ca", "insecure"])
def test_registries_yaml_says_whom_to_trust(
    tls: Registry, authority: Authority, runtime: Runtime, tmp_path: Path, how: str
) -> None:
    value = {"ca": str(authority.ca), "insecure": True}[how]
    settings = tmp_path / "registries.yaml"
    settings.write_text(json.dumps({"registries": {tls.host: {how: value}}}))
    runtime.environment["RUNTIME_REGISTRIES"] = str(settings)

    push_and_pull(runtime, f"{tls.host}/{how}")


def test_no_secret_is_in_what_is_said_or_in_a_traceback(
    basic: Registry, guarded: Registry, runtime: Runtime
) -> None:
    said = ""
    for registry in (basic, guarded):
        login(runtime, registry)
        auth = auths(runtime)[registry.host]["auth"]
        for words in (("pull", "nothing"), ("push", "own")):
            name = f"{registry.host}/{words[1]}"
            runtime.run("tag", "own", f"{registry.host}/own")
            done = subprocess.run(
                [*runtime.command, "--debug", words[0], name],
                env=runtime.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            said += done.stdout + done.stderr
        assert auth not in said
    assert "Traceback" in said
    assert PASSWORD not in said
    assert "Bearer ey" not in said
