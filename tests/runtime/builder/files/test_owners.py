from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.builder.files.owners import Mode, parse_mode, parse_owner
from runtime.model.errors import RuntimeFailure

PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n7:x:70:71::/:/bin/sh\nbroken\n"
GROUP = "root:x:0:\napp:x:1001:\nextra:x:2000:app\n"


@pytest.fixture
def owner(tmp_path: Path) -> Callable[[str], tuple[int, int] | None]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)

    def parse(text: str) -> tuple[int, int] | None:
        root_fd = os.open(tmp_path, os.O_RDONLY)
        try:
            return parse_owner(text, root_fd)
        finally:
            os.close(root_fd)

    return parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("app", (1000, 1001)),
        ("app:extra", (1000, 2000)),
        ("app:5", (1000, 5)),
        ("5", (5, 5)),
        ("5:6", (5, 6)),
        ("5:extra", (5, 2000)),
        ("7", (7, 7)),  # digits are an id, whoever is called so
        (":extra", (0, 2000)),
        ("app:", (1000, 1001)),
    ],
)
def test_owners_are_the_images(
    owner: Callable[[str], object], text: str, expected: tuple[int, int] | None
) -> None:
    assert owner(text) == expected


def test_an_unknown_user_is_guessed(owner: Callable[[str], object]) -> None:
    with pytest.raises(RuntimeFailure, match="the image has no user 'ap'") as caught:
        owner("ap")
    assert caught.value.hint == "did you mean 'app'?"


@pytest.mark.parametrize("text", ["\u0661", "0:\u0661"])
def test_digits_of_another_script_are_a_name(owner: Callable[[str], object], text: str) -> None:
    with pytest.raises(RuntimeFailure, match="the image has no"):
        owner(text)


def test_a_number_of_5001_digits_is_too_large(owner: Callable[[str], object]) -> None:
    with pytest.raises(RuntimeFailure, match="larger than any id"):
        owner("9" * 5001)


def test_an_unknown_group_says_where_it_was_looked_for(owner: Callable[[str], object]) -> None:
    with pytest.raises(RuntimeFailure, match="the image has no group 'nobodies'") as caught:
        owner("app:nobodies")
    assert "/etc/group is the image's" in caught.value.hint


def test_an_image_without_users_takes_numbers(tmp_path: Path) -> None:
    root_fd = os.open(tmp_path, os.O_RDONLY)

    with pytest.raises(RuntimeFailure) as caught:
        parse_owner("app", root_fd)

    os.close(root_fd)
    assert caught.value.hint == "the image has no /etc/passwd: write the number"


def test_no_link_leads_to_this_machines_users(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/proc/self/root/etc/passwd")
    root_fd = os.open(tmp_path, os.O_RDONLY)

    with pytest.raises(RuntimeFailure, match="no user 'root'"):
        parse_owner("root", root_fd)

    os.close(root_fd)


def test_an_id_must_fit(owner: Callable[[str], object]) -> None:
    with pytest.raises(RuntimeFailure, match="larger than any id"):
        owner("4294967295")


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("0755", 0o644, 0o755),
        ("4755", 0o644, 0o4755),
        ("u=rwx,go=rx", 0o600, 0o755),
        ("a+x", 0o644, 0o755),
        ("+x", 0o644, 0o755),
        ("go-w", 0o666, 0o644),
        ("u+s", 0o755, 0o4755),
        ("+t", 0o755, 0o1755),
        ("go=u", 0o750, 0o777),
        ("a=rX", 0o640, 0o444),
        ("a=rX", 0o744, 0o555),
        ("u=rw,g=r,o=", 0o777, 0o640),
        ("u-x+w", 0o500, 0o600),
    ],
)
def test_modes_of_files(text: str, mode: int, expected: int) -> None:
    parsed = parse_mode(text)

    assert parsed is not None
    assert oct(parsed.apply(mode, is_directory=False)) == oct(expected)


def test_a_capital_x_is_for_directories() -> None:
    parsed = parse_mode("u=rwX,go=rX")

    assert parsed is not None
    assert parsed.apply(0o600, is_directory=True) == 0o755
    assert parsed.apply(0o600, is_directory=False) == 0o644


def test_no_mode_is_none() -> None:
    assert parse_mode("") is None
    assert parse_mode("0") == Mode(octal=0)


@pytest.mark.parametrize("text", ["999", "77777", "rwx", "u", "u=rwz", "755x", "u=rw,"])
def test_what_is_no_mode_is_refused(text: str) -> None:
    with pytest.raises(RuntimeFailure, match=f"cannot use --chmod={text}"):
        parse_mode(text)
