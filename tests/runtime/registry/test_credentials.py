"""Credentials: ours, docker's, those of helpers; nothing shows them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from runtime.model.errors import RuntimeFailure
from runtime.registry import credentials
from runtime.registry.credentials import Credentials
from runtime.registry.settings import DOCKER_ACCOUNT

ME = Credentials("me", "se:cret")
_HELPER = """\
#!/bin/sh
store={store}
case $1 in
get) read -r server; cat "$store/$server" 2>/dev/null || {{ echo "credentials not found"; exit 1; }} ;;
store) cat > "$store/stored" ;;
erase) read -r server; rm "$store/$server" ;;
esac
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home directory with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RUNTIME_CONFIG", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def install_helper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put docker-credential-test on the PATH and return where it keeps what it has."""
    store = home / "kept"
    store.mkdir()
    program = home / "bin/docker-credential-test"
    program.parent.mkdir()
    program.write_text(_HELPER.format(store=store))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return store


def test_what_is_stored_is_found_again_and_readable_by_its_owner_alone(home: Path) -> None:
    path = Path(credentials.store("r.example", ME))

    assert credentials.find("r.example") == ME
    assert path == home / ".config/runtime/auth.json"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_login_leaves_the_others_alone() -> None:
    credentials.store("a.example", ME)
    credentials.store("b.example", Credentials("you", "x"))

    assert credentials.erase("a.example")

    assert credentials.find("a.example") is None
    assert credentials.find("b.example") == Credentials("you", "x")
    assert not credentials.erase("a.example")


def test_an_identity_token_is_kept_without_the_password(home: Path) -> None:
    path = Path(credentials.store("r.example", Credentials("me", "secret", "token")))

    assert credentials.find("r.example") == Credentials("me", "", "token")
    assert encoded("me:secret") not in path.read_text()


def test_the_directory_can_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_CONFIG", str(home / "mine"))

    assert credentials.store("r.example", ME) == str(home / "mine/auth.json")


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("r.example", "r.example"),
        ("https://r.example", "r.example"),
        ("https://r.example/v2/", "r.example"),
        ("r.example:5000", "r.example:5000"),
        (DOCKER_ACCOUNT, DOCKER_ACCOUNT),
        ("docker.io", DOCKER_ACCOUNT),
        ("https://index.docker.io/v1", DOCKER_ACCOUNT),
    ],
)
def test_docker_s_own_logins_count_however_old_they_are(home: Path, key: str, account: str) -> None:
    write(home / ".docker/config.json", {"auths": {key: {"auth": encoded("me:se:cret")}}})

    assert credentials.find(account) == ME


def test_ours_count_before_docker_s(home: Path) -> None:
    write(home / ".docker/config.json", {"auths": {"r.example": {"auth": encoded("a:b")}}})
    credentials.store("r.example", ME)

    assert credentials.find("r.example") == ME


@pytest.mark.parametrize(
    "document", [{"credsStore": "test"}, {"credHelpers": {"r.example": "test"}}]
)
def test_a_helper_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, document: dict[str, object]
) -> None:
    store = install_helper(home, monkeypatch)
    write(store / "r.example", {"Username": "me", "Secret": "se:cret"})
    write(home / ".docker/config.json", document)

    assert credentials.find("r.example") == ME
    assert credentials.find("other.example") is None


def test_a_helper_may_give_an_identity_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = install_helper(home, monkeypatch)
    write(store / "r.example", {"Username": "<token>", "Secret": "t"})
    write(home / ".docker/config.json", {"credsStore": "test"})

    assert credentials.find("r.example") == Credentials(identity_token="t")


def test_a_helper_of_ours_keeps_the_secret_instead_of_the_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = install_helper(home, monkeypatch)
    path = home / ".config/runtime/auth.json"
    write(path, {"credHelpers": {"r.example": "test"}})

    assert credentials.store("r.example", ME) == "docker-credential-test"

    assert json.loads((store / "stored").read_text())["Secret"] == "se:cret"
    assert "auths" not in json.loads(path.read_text())


def test_a_helper_that_is_not_there_is_named(home: Path) -> None:
    write(home / ".docker/config.json", {"credsStore": "nowhere"})

    with pytest.raises(RuntimeFailure, match="cannot run docker-credential-nowhere"):
        credentials.find("r.example")


@pytest.mark.parametrize("text", ["not json", "[]", '{"auths": {"r.example": {"auth": "%"}}}'])
def test_a_damaged_file_is_named(home: Path, text: str) -> None:
    path = home / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(RuntimeFailure, match=str(path)):
        credentials.find("r.example")


def test_a_secret_is_not_shown() -> None:
    shown = repr(Credentials("me", "secret", "token"))

    assert "me" in shown
    assert "secret" not in shown
    assert "token" not in shown
