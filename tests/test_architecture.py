"""The rules of docs/architecture.md, checked: who imports whom, what is pure, what PID 1 carries.

Each failure says in words which rule broke, where, and what to do.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.support.source_tree import ROOT, imports, parse, sources, within

# Layer → the modules of ours it may import, by prefix; its own layer always.
MAY_IMPORT = {
    "model": (),
    "wire": ("supervise.model",),
    "linux": (
        "supervise.model.errors",
        "supervise.model.exitstatus",
        "supervise.model.numerals",
        "supervise.model.record",
        "supervise.model.signals",
    ),
    "config": ("supervise.linux.directory", "supervise.model"),
    "daemon": ("supervise.config", "supervise.linux", "supervise.model", "supervise.wire"),
    "client": (
        *("supervise.model", "supervise.wire"),
        *("supervise.linux.procfs", "supervise.linux.unixsocket"),
    ),
    "cli": ("supervise.client", "supervise.model", "supervise.wire"),
}
# The second package: supervise's own values and system calls may serve it too.
_SHARED = ("supervise.linux", "supervise.model", "supervise.__version__", "runtime.__version__")
_VALUES = ("runtime.model", "runtime.wire", "runtime.language")
RUNTIME_MAY_IMPORT = {
    "model": (),
    "wire": ("runtime.model",),
    "language": ("runtime.model",),
    "linux": ("runtime.model", "runtime.wire"),
    "store": (*_VALUES, "runtime.linux"),
    "network": (*_VALUES, "runtime.linux"),
    "registry": (*_VALUES, "runtime.linux"),
    "dockerfile": ("runtime.model",),
    "container": (*_VALUES, "runtime.linux", "runtime.store", "runtime.network"),
    "exchange": (*_VALUES, "runtime.linux", "runtime.store", "runtime.registry"),
    "builder": (
        *(*_VALUES, "runtime.dockerfile", "runtime.linux", "runtime.store", "runtime.network"),
        *("runtime.registry", "runtime.container", "runtime.exchange"),
    ),
    "cli": ("runtime",),
}
PURE = (
    *("supervise/model", "supervise/wire", "runtime/model", "runtime/wire", "runtime/language"),
    "runtime/dockerfile",
)
IMPURE_MODULES = frozenset({"os", "posix", "socket", "time", "subprocess", "selectors"})
IMPURE_MODULES |= {"select", "ctypes", "random", "signal", "pathlib", "io", "threading"}

IN_PID_1 = ("model", "wire", "linux", "daemon")
TOO_HEAVY_FOR_PID_1 = frozenset({
    *("asyncio", "ssl", "http", "urllib", "logging", "argparse", "pathlib", "subprocess"),
    *("yaml", "msgspec", "structlog", "psutil", "dataclasses", "typing", "threading"),
    *("inspect", "tempfile", "shutil", "datetime", "email", "importlib.metadata", "selectors"),
})  # fmt: skip

PACKAGES = ("supervise", "runtime")
# Class names that still stand for two classes: this list only ever gets shorter.
STILL_TWICE = frozenset({"Arguments", "Option", "UsageError", "Verb"})

LONGEST_FILE = 500  # lines
LONGEST_FUNCTION = 60  # lines, decorators and docstring included


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_a_layer_imports_only_the_layers_below_it(layer: str) -> None:
    allowed = (*MAY_IMPORT[layer], f"supervise.{layer}", "supervise.__version__")

    broken = [
        str(found)
        for path in sources(f"supervise/{layer}")
        for found in imports(path)
        if within(found.module, ("supervise", "runtime", "tests", "benchmarks"))
        and not within(found.module, allowed)
    ]

    below = ", ".join(MAY_IMPORT[layer]) or "nothing of ours"
    assert not broken, f"{layer} may import {below}:\n" + "\n".join(broken)


# A dialect of the configuration → what it may use beside itself and the model.
DIALECTS = ("yaml",)
NEUTRAL = ("declared", "dialects", "digest", "problems", "search", "validate")
KNOW_DIALECTS = ("load.py", "config_verbs.py")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_knows_neither_another_nor_who_reads_it(dialect: str) -> None:
    allowed = [f"supervise.config.{name}" for name in (dialect, *NEUTRAL)]

    broken = [
        str(found)
        for path in sources(f"supervise/config/{dialect}")
        for found in imports(path)
        if within(found.module, ("supervise",))
        and not within(found.module, (*MAY_IMPORT["config"], *allowed))
    ]

    assert not broken, f"config/{dialect} may use {NEUTRAL} and what config may:\n" + "\n".join(
        broken
    )


def test_what_any_dialect_uses_knows_none_of_them() -> None:
    dialects = tuple(f"supervise.config.{dialect}" for dialect in DIALECTS)

    broken = [
        str(found)
        for path in sorted((ROOT / "supervise/config").glob("*.py"))
        if path.name not in KNOW_DIALECTS
        for found in imports(path)
        if within(found.module, dialects)
    ]

    assert not broken, f"only {KNOW_DIALECTS} choose a dialect:\n" + "\n".join(broken)


@pytest.mark.parametrize("layer", sorted(RUNTIME_MAY_IMPORT))
def test_a_layer_of_runtime_imports_only_the_layers_below_it(layer: str) -> None:
    allowed = (*RUNTIME_MAY_IMPORT[layer], *_SHARED, f"runtime.{layer}")

    broken = [
        str(found)
        for path in sources(f"runtime/{layer}")
        for found in imports(path)
        if within(found.module, ("supervise", "runtime", "tests", "benchmarks"))
        and not within(found.module, allowed)
        and found.module != "supervise"  # the package as such: the bundle copies it
    ]

    below = ", ".join(RUNTIME_MAY_IMPORT[layer]) or "nothing of ours"
    assert not broken, f"runtime/{layer} may import {below}:\n" + "\n".join(broken)


def test_supervise_knows_nothing_of_runtime() -> None:
    broken = [
        str(found)
        for path in sources("supervise")
        for found in imports(path)
        if within(found.module, ("runtime",))
    ]

    assert not broken, f"supervise runs without runtime: {broken}"


@pytest.mark.parametrize("layer", PURE)
def test_a_pure_folder_reaches_for_nothing_outside(layer: str) -> None:
    broken = []
    for path in sources(layer):
        broken += [
            str(found)
            for found in imports(path)
            if within(found.module, IMPURE_MODULES) and not found.for_types_only
        ]
        broken += [
            f"{path.relative_to(ROOT)}:{node.lineno} calls {node.func.id}()"
            for node in ast.walk(parse(path))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input", "exec", "eval"}
        ]

    advice = f"{layer}/ is pure: the clock, chance and the system come in as arguments"
    assert not broken, f"{advice}:\n" + "\n".join(broken)


@pytest.mark.parametrize("layer", IN_PID_1)
def test_nothing_on_pid_1s_path_names_a_heavy_module(layer: str) -> None:
    broken = [
        str(found)
        for path in sources(f"supervise/{layer}")
        for found in imports(path)
        if within(found.module, TOO_HEAVY_FOR_PID_1) and not found.for_types_only
    ]

    advice = "PID 1 stays lean: these cost milliseconds and megabytes (docs/architecture.md)"
    assert not broken, f"{advice}:\n" + "\n".join(broken)


def test_pid_1_carries_no_heavy_module_once_it_is_imported() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import supervise.daemon.main"
    show = "; print(*sorted(sys.modules))"

    listed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program + show],
        capture_output=True,
        text=True,
        check=True,
    )

    carried = [name for name in listed.stdout.split() if within(name, TOO_HEAVY_FOR_PID_1)]
    assert not carried, f"importing supervise.daemon.main brought in {', '.join(carried)}"
    parsers = [name for name in listed.stdout.split() if within(name, ("supervise.config",))]
    assert not parsers, f"PID 1 carries the parser, which belongs in a child: {parsers}"


def test_files_are_short_enough_to_be_read_at_once() -> None:
    long = [
        f"{path.relative_to(ROOT)} has {lines} lines"
        for path in sources("supervise", "runtime", "tests", "benchmarks", "docs")
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    ]

    assert not long, f"no file over {LONGEST_FILE} lines; split by concern:\n" + "\n".join(long)


def test_functions_are_short_enough_to_be_read_at_once() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {lines} lines"
        for path in sources("supervise", "runtime", "tests", "benchmarks", "docs")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]

    assert not long, f"no function over {LONGEST_FUNCTION} lines:\n" + "\n".join(long)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources("supervise", "runtime", "tests/support", "benchmarks", "docs")
        if ast.get_docstring(parse(path)) is None
    ]

    assert not silent, f"a module opens with what it is and who calls it: {silent}"


def test_tests_neither_sleep_nor_skip_nor_mock() -> None:
    words = ("time" + ".sleep(", "pytest" + ".skip(", "importor" + "skip", "unittest" + ".mock")
    place_of_the_sleep = ROOT / "tests/support/eventually.py"

    broken = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in sources("tests")
        if path != place_of_the_sleep
        for word in words
        if word in path.read_text()
    ]

    advice = "wait with eventually(), say what is needed with needs(), use the real thing"
    assert not broken, f"{advice}:\n" + "\n".join(broken)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_tree_on_the_architecture_page_is_the_tree(package: str) -> None:
    shown = tree_on_the_page(package)
    there = {str(path.relative_to(ROOT / package)) for path in sources(package)}

    missing = {path for path in there - shown if not path.endswith("__init__.py")}
    assert not missing, f"docs/architecture.md's tree does not show {sorted(missing)}"
    gone = shown - there
    assert not gone, f"docs/architecture.md's tree shows what is not there: {sorted(gone)}"


def tree_on_the_page(package: str) -> set[str]:
    """Return the Python files below *package* that docs/architecture.md's tree shows."""
    tree = architecture().partition(f"\n```\n{package}/\n")[2].partition("\n```\n")[0]
    shown: set[str] = set()
    folders: list[str] = []
    for line in tree.splitlines():
        if not (entry := re.match(r"^((?:│   |    )*)[├└]── (.*)", line)):
            continue
        depth = len(entry[1]) // 4
        if folder := re.match(r"(\w+)/", entry[2]):
            folders[depth:] = [folder[1]]
        shown |= {"/".join((*folders[:depth], n)) for n in re.findall(r"\w+\.py", entry[2])}
    return shown


def test_every_file_that_the_map_says_to_open_exists() -> None:
    section = architecture().partition("\n## Where do I add …\n")[2].partition("\n## ")[0]

    named = re.findall(r"`((?:supervise|runtime|tests|docs|configs)/[\w./-]+)`", section)

    assert len(named) >= len(section.splitlines()) // 4, "the section names files by whole paths"
    gone = sorted({name for name in named if not (ROOT / name).exists()})
    assert not gone, f"docs/architecture.md says to open what is not there: {gone}"


def test_a_class_name_is_unique_in_the_repository() -> None:
    places: dict[str, list[str]] = {}
    for path in sources("supervise", "runtime", "benchmarks"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")

    twice = {name: where for name, where in places.items() if len(where) > 1}

    broken = [f"{name}: {where}" for name, where in twice.items() if name not in STILL_TWICE]
    assert not broken, "one class name for one class; rename:\n" + "\n".join(broken)
    done = STILL_TWICE - set(twice)
    assert not done, f"these are unique; take them off STILL_TWICE: {sorted(done)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_file_name_is_unique_in_its_package(package: str) -> None:
    places: dict[str, list[str]] = {}
    for path in sources(package):
        if not path.name.startswith("__"):
            places.setdefault(path.name, []).append(str(path.relative_to(ROOT)))

    broken = [f"{name}: {where}" for name, where in places.items() if len(where) > 1]

    assert not broken, "one file name for one file of a package; rename:\n" + "\n".join(broken)


def test_the_glossary_names_classes_that_exist_and_every_class_called_like_a_word() -> None:
    classes = {
        node.name
        for path in sources(*PACKAGES)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    }
    page = (ROOT / "docs/glossary.md").read_text()
    rows = re.findall(r"^\| (?!word )([^|]+?) \| (.*) \|$", page, re.MULTILINE)

    gone = set(re.findall(r"`([A-Z]\w*[a-z]\w*)`", page)) - classes
    assert not gone, f"docs/glossary.md names classes that are not there: {sorted(gone)}"
    unnamed = sorted(
        word
        for word, _meaning in rows
        if (name := "".join(part.capitalize() for part in word.split())) in classes
        and not any(f"`{name}`" in meaning for other, meaning in rows if other == word)
    )
    assert not unnamed, f"each is also a class: docs/glossary.md says what that is: {unnamed}"
    words = [word for word, _meaning in rows]
    assert len(words) > 50
    twice = sorted({word for word in words if words.count(word) > 1} - {"stage"})
    assert not twice, f"one word, one row: {twice}"


def test_every_corner_case_has_a_test_that_exists_or_a_reason() -> None:
    rows = re.findall(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", corner_cases(), re.MULTILINE)

    assert [int(number) for number, *_ in rows] == list(range(1, 51))
    unfounded = [
        number
        for number, _hazard, answer, shown_by in rows
        if "`test_" not in shown_by and "does not apply" not in answer
    ]
    assert not unfounded, f"a case needs a test, or to say why it does not apply: {unfounded}"


def test_every_test_that_the_corner_cases_name_exists() -> None:
    there = {
        node.name
        for path in sources("tests")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef)
    }

    missing = set(re.findall(r"`(test_\w+)`", corner_cases())) - there

    assert not missing, f"docs/corner-cases.md names tests that are not there: {missing}"


def corner_cases() -> str:
    return (ROOT / "docs/corner-cases.md").read_text()


def architecture() -> str:
    return (ROOT / "docs/architecture.md").read_text()
