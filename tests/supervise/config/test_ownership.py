"""Who may write to a configuration is said; who may write to a compiled plan decides."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from supervise.config import config_verbs
from supervise.config.compiled import load_compiled, write_compiled
from supervise.config.load import examine

OTHER = 4242


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "supervise.yaml").write_text("services: {a: {command: x, env_file: a.env}}")
    (tmp_path / "a.env").write_text("A=1")
    for path in (tmp_path, tmp_path / "supervise.yaml", tmp_path / "a.env"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path


def remarks(site: Path) -> list[str]:
    return [str(one) for one in examine(["supervise.yaml"], {}, str(site)).warnings]


def test_of_a_configuration_that_only_we_can_write_nothing_is_said(site: Path) -> None:
    assert remarks(site) == []


@pytest.mark.parametrize("name", ["supervise.yaml", "a.env"])
def test_a_file_that_everybody_may_write_is_named_with_the_way_out(site: Path, name: str) -> None:
    (site / name).chmod(0o666)

    (remark,) = remarks(site)

    assert remark.startswith(
        f"{site}/{name}: everybody may write to it, and so can run any program"
    )
    assert remark.endswith(f"; chmod go-w {site}/{name}")


def test_files_of_one_kind_share_a_remark(site: Path) -> None:
    (site / "supervise.yaml").chmod(0o666)
    (site / "a.env").chmod(0o666)

    (remark,) = remarks(site)

    assert ", and 1 more like it; chmod go-w" in remark


def test_a_directory_counts_as_its_files_unless_it_is_sticky(site: Path) -> None:
    site.chmod(0o777)
    shared = remarks(site)
    site.chmod(0o1777)

    assert len(shared) == 1
    assert shared[0].startswith(f"{site}: everybody may write to it")
    assert remarks(site) == []


@pytest.mark.needs("root")
def test_a_file_of_another_user_is_a_remark_and_no_problem(site: Path) -> None:
    os.chown(site / "supervise.yaml", OTHER, OTHER)

    outcome = examine(["supervise.yaml"], {}, str(site))

    assert outcome.plan is not None
    (remark,) = map(str, outcome.warnings)
    assert f"it belongs to user {OTHER}, who may write to it, and so can run any" in remark
    assert "as root; unless that is meant: chown root" in remark


def test_check_says_it_and_succeeds(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "supervise.yaml").chmod(0o666)
    monkeypatch.chdir(site)

    assert config_verbs.main(["check", "supervise.yaml"]) == 0
    assert f"{site}/supervise.yaml: warning: everybody may write to it" in capsys.readouterr().err


# -- the compiled plan


def compiled(site: Path) -> Path:
    outcome = examine(["supervise.yaml"], {}, str(site))
    assert outcome.plan is not None
    return Path(write_compiled(outcome.plan, outcome.roots))


def refusal(site: Path) -> str:
    plan, reason = load_compiled(["supervise.yaml"], {}, str(site))
    assert (plan is None) == bool(reason)
    return reason.partition("is not used: ")[2]


def as_link(plan: Path) -> None:
    plan.rename(f"{plan}.aside")
    plan.symlink_to(f"{plan}.aside")


def test_the_plan_may_be_written_by_nobody_else(site: Path) -> None:
    plan = compiled(site)
    assert refusal(site) == ""

    plan.chmod(0o666)

    assert refusal(site) == "others may write to it (chmod go-w)"


def test_a_plan_in_a_directory_for_all_is_not_used(site: Path) -> None:
    compiled(site)
    site.chmod(0o777)

    assert refusal(site) == "everybody may put another one there"


def test_a_fifo_in_place_of_the_plan_holds_nobody_up(site: Path) -> None:
    os.mkfifo(site / "supervise.yaml.plan")

    assert refusal(site) == "it is no regular file"


def test_a_plan_in_a_sticky_directory_is_not_used(site: Path) -> None:
    """It may be a file of root's that somebody moved there, with content of his own."""
    compiled(site)
    site.chmod(0o1777)

    assert refusal(site) == "everybody may put another one there"


@pytest.mark.needs("root")
def test_a_plan_that_root_writes_for_another_user_is_his(site: Path) -> None:
    os.chown(site, OTHER, OTHER + 1)

    found = compiled(site).stat()

    assert (found.st_uid, found.st_gid) == (OTHER, OTHER + 1)


@pytest.mark.needs("root")
def test_a_plan_in_a_directory_of_another_user_is_not_used(site: Path) -> None:
    compiled(site)
    os.chown(site, OTHER, OTHER)

    assert refusal(site) == f"user {OTHER} may put another one there"


def test_a_plan_that_was_not_made_from_its_configuration_is_not_used(site: Path) -> None:
    outcome = examine(["supervise.yaml"], {}, str(site))
    assert outcome.plan is not None

    write_compiled(outcome.plan.replace(sources=()), outcome.roots)

    assert refusal(site) == f"it was not made from {site}/supervise.yaml"


def test_a_source_that_became_a_fifo_holds_nobody_up(site: Path) -> None:
    compiled(site)
    (site / "a.env").unlink()
    os.mkfifo(site / "a.env")

    assert refusal(site) == f"'{site}/a.env' has changed"


def test_a_plan_behind_a_link_of_roots_is_used(site: Path) -> None:
    as_link(compiled(site))

    assert refusal(site) == ""


def test_where_a_sandbox_forbids_to_look_at_the_mount_the_remark_is_made(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_fd: int) -> os.statvfs_result:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    (site / "a.env").chmod(0o666)
    monkeypatch.setattr(os, "fstatvfs", refused)

    assert len(remarks(site)) == 1
