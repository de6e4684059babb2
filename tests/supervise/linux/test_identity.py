from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from supervise.linux import identity
from supervise.linux.identity import Identity, UnknownIdentityError

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
web:x:1000:1000:Web,,,:/srv/web:/bin/sh
1234:x:2000:2000::/home/digits:
broken:x:notanumber:1:::
short:x:5
halfway:x:3001:nogid:::
arabic:x:\u0661:1:::
noshell:x:3000:3000:::
"""
GROUP = """\
root:x:0:
web:x:1000:
audio:x:29:web,other
video:x:44:other,web
docker:x:999:webmaster
4321:x:7:
broken:x:nan:web
"""


@pytest.fixture(autouse=True)
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image with these two files."""
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)
    monkeypatch.setattr(identity, "PASSWD", str(tmp_path / "passwd"))
    monkeypatch.setattr(identity, "GROUP", str(tmp_path / "group"))
    return tmp_path


WEB = ("web", "/srv/web", "/bin/sh")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("web", Identity(1000, 1000, (1000, 29, 44), *WEB)),
        ("1000", Identity(1000, 1000, (1000, 29, 44), *WEB)),
        ("root", Identity(0, 0, (0,), "root", "/root", "/bin/bash")),
        ("web:audio", Identity(1000, 29, (29,), *WEB)),
        ("web:50", Identity(1000, 50, (50,), *WEB)),
        ("1000:0", Identity(1000, 0, (0,), *WEB)),
        ("12345", Identity(12345, 0, (0,))),
        ("12345:12345", Identity(12345, 12345, (12345,))),
        ("12345:audio", Identity(12345, 29, (29,))),
        ("1234", Identity(2000, 2000, (2000,), "1234", "/home/digits", "")),
        ("4294967294", Identity(4294967294, 0, (0,))),
    ],
)
def test_who_a_user_is(user: str, expected: Identity) -> None:
    assert identity.resolve(user) == expected


def test_groups_that_are_listed_replace_those_of_the_user() -> None:
    assert identity.resolve("web", ("video", "50", "video")).groups == (1000, 44, 50)


def test_empty_list_of_groups_leaves_the_users_own() -> None:
    assert identity.resolve("web", ()).groups == (1000,)


def test_group_with_a_name_of_digits_is_found_by_name_first() -> None:
    assert identity.group_id("4321") == 7


@pytest.mark.parametrize(
    ("user", "groups", "complaint"),
    [
        ("nobody", None, "user 'nobody' is not in .*passwd"),
        ("", None, "user '' is not in .*passwd"),
        ("broken", None, "user 'broken' is not in .*passwd"),
        ("short", None, "user 'short' is not in .*passwd"),
        ("halfway", None, "user 'halfway' is not in .*passwd"),
        ("arabic", None, "user 'arabic' is not in .*passwd"),
        ("\u0661", None, "user '\u0661' is not in .*passwd"),
        ("9" * 5001, None, "user '9+' is not in .*passwd"),
        ("0:\u0661", None, "group '\u0661' is not in .*group"),
        ("-1", None, "user '-1' is not in .*passwd"),
        ("web:nogroup", None, "group 'nogroup' is not in .*group"),
        ("web", ("nogroup",), "group 'nogroup' is not in .*group"),
        ("4294967295", None, "4294967295 is no uid or gid: the highest is 4294967294"),
        ("0:4294967295", None, "4294967295 is no uid or gid"),
        ("web", ("4294967296",), "4294967296 is no uid or gid"),
    ],
)
def test_who_cannot_be_is_refused(
    user: str, groups: tuple[str, ...] | None, complaint: str
) -> None:
    with pytest.raises(UnknownIdentityError, match=complaint):
        identity.resolve(user, groups)


def test_without_the_files_numbers_still_work(image: Path) -> None:
    (image / "passwd").unlink()
    (image / "group").unlink()

    assert identity.resolve("12345:7", ("8",)) == Identity(12345, 7, (7, 8))


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "", "."])
def test_what_is_no_file_is_not_waited_for_and_numbers_still_work(target: str, image: Path) -> None:
    for name in ("passwd", "group"):
        (image / name).unlink()
        if target:
            (image / name).symlink_to(target)
        else:
            os.mkfifo(image / name)

    assert identity.resolve("12345:7", ("8",)) == Identity(12345, 7, (7, 8))
    with pytest.raises(UnknownIdentityError, match=r"passwd: it is a .*, not a"):
        identity.resolve("web")


def test_a_file_that_is_too_large_is_refused_not_read_in_part(image: Path) -> None:
    with (image / "passwd").open("r+b") as file:
        file.truncate(1 << 40)

    with pytest.raises(
        UnknownIdentityError, match="passwd cannot be used: it is larger than 4 MiB"
    ):
        identity.resolve("web")


@pytest.mark.parametrize("number", ["\u0661", "9" * 5000])
def test_numbers_that_are_none_name_nobody(number: str, image: Path) -> None:
    (image / "passwd").write_text(f"web:x:{number}:{number}::/:\n")

    with pytest.raises(UnknownIdentityError, match="user 'web' is not in"):
        identity.resolve("web")


def test_bytes_that_are_not_utf8_pass(image: Path) -> None:
    (image / "passwd").write_bytes(b"caf\xe9:x:5:5::/home/caf\xe9:\n")

    assert identity.resolve("5").home == os.fsdecode(b"/home/caf\xe9")


@pytest.mark.parametrize(
    ("who", "variables"),
    [
        (
            Identity(1, 1, (1,), "web", "/srv/web", "/bin/sh"),
            {"HOME": "/srv/web", "USER": "web", "LOGNAME": "web", "SHELL": "/bin/sh"},
        ),
        (
            Identity(12345, 0, (0,)),
            {"HOME": "/", "USER": "12345", "LOGNAME": "12345", "SHELL": "/bin/sh"},
        ),
    ],
)
def test_variables_that_follow_the_user(who: Identity, variables: dict[str, str]) -> None:
    assert who.environment() == variables


@pytest.mark.parametrize("name", ["root", "daemon", "nobody"])
def test_users_of_this_machine_are_who_id_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    found = identity.resolve(name)

    def ask(option: str) -> list[int]:
        words = subprocess.run(["id", option, name], check=True, capture_output=True).stdout
        return [int(word) for word in words.split()]

    assert [found.uid] == ask("-u")
    assert [found.gid] == ask("-g")
    assert sorted(found.groups) == sorted(ask("-G"))
