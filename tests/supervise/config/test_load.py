"""Files → a Plan: search path, includes, merging, env files, profiles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from supervise.config.digest import of_bytes, of_variable
from supervise.config.load import LoadOutcome, examine, load
from supervise.model.errors import ConfigError
from supervise.model.service import (
    ConfigurationSource,
    ControlSettings,
    ExitPolicy,
    LogFormat,
    Origin,
    Plan,
)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class Files:
    """A directory with files, and what loading them gives."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ: dict[str, str] = {}

    def write(self, **contents: str | bytes) -> None:
        """Write files: ``a__b_yaml`` is a/b.yaml, relative to the directory."""
        for name, content in contents.items():
            stem, _, suffix = name.rpartition("_")
            path = self.directory / f"{stem.replace('__', '/')}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def examine(self, *paths: str) -> LoadOutcome:
        return examine(list(paths) or None, self.environ, str(self.directory))

    def plan(self, *paths: str) -> Plan:
        return load(list(paths) or None, self.environ, str(self.directory))

    def problems(self, *paths: str) -> list[str]:
        outcome = self.examine(*paths)
        assert outcome.plan is None or not outcome.problems
        return [str(problem) for problem in outcome.problems]


def environment(plan: Plan, service: str = "a") -> Mapping[str, str]:
    return plan.services[service].environment


# The search path


def test_without_a_file_the_working_directory_is_searched(files: Files) -> None:
    files.write(supervise_yaml="services: {a: {command: x}}")

    assert list(files.plan().services) == ["a"]


def test_the_variable_names_the_file(files: Files) -> None:
    files.write(
        supervise_yaml="services: {a: {command: x}}", other_yaml="services: {b: {command: x}}"
    )
    files.environ = {"SUPERVISE_CONFIG": "other.yaml"}

    assert list(files.plan().services) == ["b"]


def test_nothing_found_says_where_it_looked(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        files.plan()

    assert str(caught.value) == (
        "supervise: cannot find a configuration; looked at $SUPERVISE_CONFIG, "
        "/etc/supervise/supervise.yaml, /etc/supervise.yaml, ./supervise.yaml; name one with -c FILE"
    )


def test_a_missing_file_is_a_problem(files: Files) -> None:
    assert files.problems("no.yaml") == [
        "no.yaml: cannot read 'no.yaml': No such file or directory; name an existing file with -c"
    ]


def test_a_directory_means_its_yaml_files_by_name(files: Files) -> None:
    service = "services: {%s: {command: x}}"
    files.write(
        d__20_yaml=service % "second",
        d__10_yaml=service % "first",
        d__readme_txt="no: [yaml",
        d__sub__30_yaml=service % "below",
    )

    assert list(files.plan("d").services) == ["first", "second"]


def test_a_directory_without_files_is_a_problem(files: Files) -> None:
    (files.directory / "d").mkdir()

    assert files.problems("d") == [
        "d: the directory holds no *.yaml file; add one, or name a file with -c"
    ]


# Several files


def test_files_are_one_configuration(files: Files) -> None:
    files.write(
        one_yaml="services: {a: {command: x, depends_on: [b]}}\nexit: all\nenvironment: {A: '1'}",
        two_yaml="services: {b: {command: x}}\nshutdown: {grace: 3s}\nenvironment: {B: '2'}",
    )

    plan = files.plan("one.yaml", "two.yaml")

    assert list(plan.services) == ["a", "b"]
    assert (plan.exit_policy, plan.grace) == (ExitPolicy.ALL, 3.0)
    assert environment(plan, "b") == {"A": "1", "B": "2"}


def test_a_file_named_twice_is_read_once(files: Files) -> None:
    files.write(one_yaml="services: {a: {command: x}}\ninclude: one.yaml")
    files.write(two_yaml="services: {a: {command: x}}")

    assert list(files.plan("two.yaml", "./two.yaml").services) == ["a"]


def test_one_service_in_two_files_names_both_places(files: Files) -> None:
    files.write(one_yaml="services: {a: {command: x}}", two_yaml="services:\n  a: {command: y}")

    assert files.problems("one.yaml", "two.yaml") == [
        (
            "two.yaml:2:3: services.a: the service 'a' is declared twice; "
            "the first is at one.yaml:1:12: rename one of them"
        )
    ]


def test_settings_may_be_repeated_but_not_contradicted(files: Files) -> None:
    files.write(
        one_yaml="services: {a: {command: x}}\nlogs: {format: json}\nexit: any\nenvironment: {A: '1'}",
        two_yaml="logs: {format: json}\nexit: all\nenvironment: {A: '2'}",
    )

    assert files.problems("one.yaml", "two.yaml") == [
        "two.yaml:2:7: exit: another value than in one.yaml:3:7; set it in one file only",
        "two.yaml:3:14: environment.A: another value than in one.yaml:4:14; set it in one file only",
    ]


def test_includes_are_relative_and_sorted(files: Files) -> None:
    files.write(
        conf__main_yaml="include: [parts/*.yaml, ../other.yaml]\nservices: {a: {command: x}}",
        conf__parts__2_yaml="services: {c: {command: x}}",
        conf__parts__1_yaml="services: {b: {command: x}}",
        other_yaml="services: {d: {command: x}}",
    )

    plan = files.plan("conf/main.yaml")

    assert list(plan.services) == ["a", "b", "c", "d"]


def test_a_service_knows_the_file_and_the_line_that_declare_it(files: Files) -> None:
    files.write(
        conf__main_yaml="include: [parts/b.yaml]\nservices:\n  a: {command: x}",
        conf__parts__b_yaml="services:\n  # a comment\n  b:\n    command: x",
    )

    services = files.plan("conf/main.yaml").services

    assert services["a"].origin == Origin(f"{files.directory}/conf/main.yaml", 3)
    assert str(services["b"].origin) == f"{files.directory}/conf/parts/b.yaml:3"


def test_problems_in_included_files_show_their_paths_as_the_user_knows_them(files: Files) -> None:
    files.write(
        conf__main_yaml="include: [parts/*.yaml]\nservices: {a: {command: x}}",
        conf__parts__b_yaml="services: {b: 5}",
    )

    (problem,) = files.problems("conf/main.yaml")
    (absolute,) = files.problems(str(files.directory / "conf/main.yaml"))

    assert problem.startswith("conf/parts/b.yaml:1:15: services.b: ")
    assert absolute.startswith(f"{files.directory}/conf/parts/b.yaml:1:15: services.b: ")


def test_an_include_that_is_not_there_is_a_problem_a_pattern_without_match_is_not(
    files: Files,
) -> None:
    files.write(a_yaml="include: ['*.yml', gone.yaml]\nservices: {a: {command: x}}")

    assert files.problems("a.yaml") == [
        (
            "a.yaml:1:20: include: cannot read 'gone.yaml': No such file or directory; "
            "a pattern such as *.yaml may be empty"
        )
    ]


def test_files_that_include_each_other_are_named(files: Files) -> None:
    files.write(
        a_yaml="include: b.yaml\nservices: {a: {command: x}}",
        b_yaml="include: [c.yaml]",
        c_yaml="include: [a.yaml]",
    )

    assert files.problems("a.yaml") == [
        (
            "c.yaml:1:11: include: the files include each other: "
            "a.yaml -> b.yaml -> c.yaml -> a.yaml; remove one of the includes"
        )
    ]


def test_a_syntax_error_hides_no_problem_of_another_file(files: Files) -> None:
    files.write(a_yaml="services: {a: {comand: x}}", b_yaml="services: [", c_yaml="services: 5")

    problems = files.problems("a.yaml", "b.yaml", "c.yaml")

    assert [problem.split(":")[0] for problem in problems] == [
        "a.yaml",
        "a.yaml",
        "b.yaml",
        "c.yaml",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "f.yaml:1:1: the file is empty; it needs the key 'services'"),
        (b"# nothing\n", "f.yaml:1:1: the file is empty; it needs the key 'services'"),
        (b"- a", "f.yaml:1:1: must be a mapping with the key `services`, not a list"),
        (b"hello", "f.yaml:1:1: must be a mapping with the key `services`, not the text 'hello'"),
        (b"exit: all", "f.yaml:1:1: declares no services; add"),
        (b"a: \xff", "f.yaml:1:4: the byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"\xff\xfea\x00", "f.yaml:1:1: the file is UTF-16; save it as UTF-8"),
        (b"a: 1\n\x00", "f.yaml:2:1: the character U+0000 is not allowed in YAML; delete it"),
        (b"services: {a: {command: [x, \"\\0\"]}}", "f.yaml:1:29: services.a.command[1]: holds a NUL"),
        (b" " * (16 * 1024 * 1024 + 1), "f.yaml: larger than 16 MiB; split it with `include`"),
        (b"services: {}\n---\nservices: {}", "f.yaml:2:1: a second document begins here"),
    ],
)  # fmt: skip
def test_unusable_files(files: Files, content: bytes, problem: str) -> None:
    files.write(f_yaml=content)

    (found,) = files.problems("f.yaml")

    assert found.startswith(problem)


def test_a_byte_order_mark_is_no_problem(files: Files) -> None:
    files.write(f_yaml=b"\xef\xbb\xbfservices: {a: {command: x}}")

    assert list(files.plan("f.yaml").services) == ["a"]


def test_no_services_at_all_is_fine_where_files_may_come_to_have_some(files: Files) -> None:
    files.write(a_yaml="include: [conf.d/*.yaml]", b_yaml="services: {}")

    assert files.plan("a.yaml").services == {}
    assert files.plan("b.yaml").services == {}


def test_ten_thousand_services_are_no_trouble(files: Files) -> None:
    service = "  s{}: {{command: [x], depends_on: [s{}], healthcheck: {{test: [CMD, x]}}}}\n"
    chain = "".join(service.format(number, number + 1) for number in range(10_000))
    files.write(f_yaml=f"services:\n{chain}  s10000: {{command: x}}\n")

    assert len(files.plan("f.yaml").services) == 10_001


# Global settings


def test_global_logs_are_defaults(files: Files) -> None:
    files.write(
        f_yaml="logs: {format: json, keep: 9}\n"
        "services: {a: {command: x, logs: {keep: 2}}, b: {command: x, logs: {format: raw}}}"
    )

    plan = files.plan("f.yaml")

    assert plan.log_format is LogFormat.JSON
    assert [(s.logs.format, s.logs.keep) for s in plan.services.values()] == [
        (LogFormat.JSON, 2),
        (LogFormat.RAW, 9),
    ]


def test_groups_are_gids_or_names(files: Files) -> None:
    files.write(
        f_yaml="control: {socket: '@s', operators: [root, 1000], readers: [rooot]}\n"
        "services: {a: {command: x}}"
    )

    (problem,) = files.problems("f.yaml")

    assert problem.startswith(
        "f.yaml:1:59: control.readers: there is no group 'rooot' in /etc/group; did you mean 'root'?"
    )
    files.write(f_yaml="control: {operators: [root, 1000]}\nservices: {a: {command: x}}")
    plan = files.plan("f.yaml")
    assert plan.control == ControlSettings(operators=(0, 1000))
    assert "/etc/group" in [source.path for source in plan.sources]


# Environment


def test_service_over_env_file_over_global(files: Files) -> None:
    files.write(
        f_yaml="environment: {A: global, B: global, C: global}\n"
        "services: {a: {command: x, env_file: [one.env, two.env], environment: {C: own}}}",
        one_env="B=one\nC=one\nD=one",
        two_env="D=two",
    )

    assert environment(files.plan("f.yaml")) == {
        "A": "global", "B": "one", "C": "own", "D": "two",
    }  # fmt: skip


def test_values_are_text_as_written(files: Files) -> None:
    files.write(
        f_yaml="services: {a: {command: [x, 5, true], environment: "
        "{A: 0o17, B: 1.50, C: yes, D: true, E: '', F: 22:22}}}"
    )

    plan = files.plan("f.yaml")

    assert environment(plan) == {
        "A": "0o17", "B": "1.50", "C": "yes", "D": "true", "E": "", "F": "22:22",
    }  # fmt: skip
    assert plan.services["a"].command == ("x", "5", "true")


@pytest.mark.parametrize("form", ["{A: , B: ~}", "[A, B]"])
def test_a_name_alone_passes_superviser_own_value_on(files: Files, form: str) -> None:
    files.environ = {"A": "inherited"}
    files.write(
        f_yaml=f"environment: {{A: global, B: global}}\nservices: {{a: {{command: x, environment: {form}}}}}"
    )

    plan = files.plan("f.yaml")

    assert environment(plan) == {"A": "inherited"}
    assert plan.variables == {"A": of_variable("inherited"), "B": ""}


def test_variables_are_expanded_and_remembered_by_digest(files: Files) -> None:
    files.environ = {"PORT": "80", "SECRET": "hush"}
    files.write(
        f_yaml="services: {a: {command: 'serve ${PORT}', nice: '${NICE:-5}', "
        "environment: ['S=${SECRET}'], autostart: '${NO:-false}'}}"
    )

    plan = files.plan("f.yaml")

    assert plan.services["a"].command == ("serve", "80")
    assert plan.services["a"].nice == 5
    assert plan.services["a"].autostart is False
    assert plan.variables == {
        "PORT": of_variable("80"), "NICE": "", "SECRET": of_variable("hush"), "NO": "",
    }  # fmt: skip


def test_an_unset_variable_is_empty_and_a_warning(files: Files) -> None:
    files.write(f_yaml="services: {a: {command: [x, 'a${GONE}b']}}")

    outcome = files.examine("f.yaml")

    assert outcome.plan is not None
    assert outcome.plan.services["a"].command == ("x", "ab")
    assert [str(warning) for warning in outcome.warnings] == [
        (
            "f.yaml:1:29: services.a.command[1]: the variable 'GONE' is not set: empty; "
            "write ${GONE:-} if that is meant"
        )
    ]


def test_env_files_may_be_optional_and_are_sources_all_the_same(files: Files) -> None:
    files.write(
        f_yaml="services: {a: {command: x, env_file: [a.env, {path: b.env, required: false}]}}",
        a_env="A=1",
    )

    plan = files.plan("f.yaml")

    directory = str(files.directory)
    assert plan.sources[1:] == (
        ConfigurationSource(f"{directory}/a.env", of_bytes(b"A=1"), "env_file"),
        ConfigurationSource(f"{directory}/b.env", "", "env_file"),
    )


def test_a_missing_env_file_is_a_problem(files: Files) -> None:
    files.write(f_yaml="services: {a: {command: x, env_file: a.env}}")

    assert files.problems("f.yaml") == [
        (
            "f.yaml:1:38: services.a.env_file: cannot read 'a.env': No such file or directory; "
            "create it, or write {path: ..., required: false}"
        )
    ]


def test_problems_in_an_env_file_name_its_line(files: Files) -> None:
    files.write(f_yaml="services: {a: {command: x, env_file: a.env}}", a_env=b"A=1\nB=\xff\n")

    assert files.problems("f.yaml") == [
        "a.env:2:3: the byte 0xff is not UTF-8; save the file as UTF-8"
    ]


# Profiles

PROFILES = """
services:
  a: {command: x}
  b: {command: x, profiles: [debug, test]}
  c: {command: x, profiles: [test], depends_on: [b]}
"""


@pytest.mark.parametrize(
    ("selected", "names"),
    [
        (None, ["a"]),
        ("", ["a"]),
        ("debug", ["a", "b"]),
        ("other, test", ["a", "b", "c"]),
        ("*", ["a", "b", "c"]),
    ],
)
def test_services_with_profiles_need_a_selected_one(
    files: Files, selected: str | None, names: list[str]
) -> None:
    files.write(f_yaml=PROFILES)
    files.environ = {} if selected is None else {"SUPERVISE_PROFILES": selected}

    plan = files.plan("f.yaml")

    assert list(plan.services) == names
    assert plan.variables == {"SUPERVISE_PROFILES": of_variable(selected)}


def test_services_that_are_off_are_checked_too(files: Files) -> None:
    files.write(f_yaml="services: {a: {command: x, profiles: [p], nice: 99}}")

    assert len(files.problems("f.yaml")) == 1


# Sources


def test_sources_are_files_listings_and_patterns(files: Files) -> None:
    files.write(
        d__f_yaml="include: [sub/*.yaml]\nservices: {a: {command: x}}",
        d__sub__g_yaml="services: {b: {command: x}}",
    )

    sources = files.plan("d").sources

    directory = str(files.directory)
    assert [(source.kind, source.path) for source in sources] == [
        ("directory", f"{directory}/d"),
        ("yaml", f"{directory}/d/f.yaml"),
        ("glob", f"{directory}/d/sub/*.yaml"),
        ("yaml", f"{directory}/d/sub/g.yaml"),
    ]
    assert sources[1].digest == of_bytes((files.directory / "d/f.yaml").read_bytes())


def test_an_unreadable_file_says_so(files: Files) -> None:
    (files.directory / "loop.yaml").symlink_to("loop.yaml")

    (problem,) = files.problems("loop.yaml")

    assert f"cannot read 'loop.yaml': {os.strerror(40)}" in problem
