"""configs/kubernetes: the image is built, `podman play kube` runs the Deployment, figures match."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.size import build_wheel
from supervise.model.quantities import parse_duration
from tests.support.docker import base_tarball, wheelhouse
from tests.support.eventually import eventually
from tests.support.podman import Podman
from tests.support.scripts import ROOT

CONFIGS = ROOT / "configs/kubernetes"
POD, CONTAINER = "app-pod-0", "app-pod-0-app"
CONFIG_MAP, DEPLOYMENT = yaml.safe_load_all((CONFIGS / "deployment.yaml").read_text())
POD_SPEC = DEPLOYMENT["spec"]["template"]["spec"]
APP = POD_SPEC["containers"][0]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "podman", "cni", "iptables", "mmdebstrap"),
]


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Return a podman that has the image of the Dockerfile, built on a Debian without network."""
    context: Path = tmp_path_factory.mktemp("context")
    shutil.copy(CONFIGS / "Dockerfile", context)
    build_wheel(wheelhouse(context / "wheels"))
    base = re.search(r"^FROM (\S+)$", (CONFIGS / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    # Debian's pip asks for a word before it installs beside Debian's own packages.
    variables = ("ENV=PATH=/usr/local/bin:/usr/bin:/bin", "ENV=PIP_BREAK_SYSTEM_PACKAGES=1")
    changes = [f"--change={variable}" for variable in variables]
    made = Podman(tmp_path_factory.mktemp("podman"))
    try:
        made("import", "--quiet", *changes, str(base_tarball()), base[1])
        made("build", "--network=none", "--tag", APP["image"], str(context), timeout=300)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def pod(podman: Podman) -> Podman:
    """Return the podman with the Deployment played and ready; the last test stops it."""
    podman("play", "kube", str(CONFIGS / "deployment.yaml"))
    probe = APP["readinessProbe"]["exec"]["command"]
    eventually(lambda: podman("exec", CONTAINER, *probe, check=False).returncode == 0)
    return podman


def test_the_grace_of_the_pod_holds_what_happens_in_it() -> None:
    *_, seconds = APP["lifecycle"]["preStop"]["exec"]["command"]
    configuration: dict[str, Any] = yaml.safe_load(CONFIG_MAP["data"]["supervise.yaml"])
    grace = parse_duration(configuration["shutdown"]["grace"])

    assert POD_SPEC["terminationGracePeriodSeconds"] >= int(seconds) + grace + 5


def test_every_figure_in_the_readme_is_that_of_the_deployment() -> None:
    page = (CONFIGS / "README.md").read_text()

    for name, times, seconds in re.findall(r"^\| `(\w+Probe)` (\d+) . (\d+) s", page, re.MULTILINE):
        wanted = (APP[name]["failureThreshold"], APP[name]["periodSeconds"])
        assert (int(times), int(seconds)) == wanted
    assert f"`terminationGracePeriodSeconds: {POD_SPEC['terminationGracePeriodSeconds']}`" in page


def test_the_probes_are_the_same_command() -> None:
    commands = [APP[name]["exec"]["command"] for name in PROBES]

    assert commands == [["supervisectl", "health"]] * len(PROBES)


def test_a_probe_succeeds_and_fails_with_the_services(pod: Podman) -> None:
    probe = ("exec", CONTAINER, *APP["readinessProbe"]["exec"]["command"])
    assert pod(*probe, check=False).stdout == "healthy\n"

    def fails_once_it_is_killed_often_enough() -> bool:
        pod("exec", CONTAINER, "supervisectl", "signal", "KILL", "worker", check=False)
        done = pod(*probe, check=False)
        return done.returncode == 1 and "worker" in done.stdout

    eventually(fails_once_it_is_killed_often_enough)
    eventually(lambda: pod(*probe, check=False).returncode == 0)


def test_podmans_healthcheck_is_the_liveness_probe(pod: Podman) -> None:
    assert pod("healthcheck", "run", CONTAINER).returncode == 0


def test_the_port_is_published(pod: Podman) -> None:
    port = APP["ports"][0]["hostPort"]
    fetch = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/').status)"

    assert pod.beside(["python3", "-c", fetch]).stdout == "200\n"


def test_it_is_an_ordinary_user_on_a_read_only_root_without_capabilities(pod: Podman) -> None:
    show = "id -u; touch /x 2>/dev/null || echo read-only; grep CapEff /proc/1/status"

    said = pod("exec", CONTAINER, "sh", "-c", show).stdout.split()

    user = str(APP["securityContext"]["runAsUser"])
    assert said == [user, "read-only", "CapEff:", "0000000000000000"]


def test_it_stops_in_order_with_exit_code_0(pod: Podman) -> None:
    *pre_stop, _seconds = APP["lifecycle"]["preStop"]["exec"]["command"]
    pod("exec", CONTAINER, *pre_stop, "0")

    pod("pod", "stop", "--time", str(POD_SPEC["terminationGracePeriodSeconds"]), POD)

    (state,) = json.loads(pod("inspect", CONTAINER).stdout)
    assert state["State"]["ExitCode"] == 0
    said = pod("logs", CONTAINER)
    assert re.findall(r"^supervise \| Stopped (\w+)", said.stderr, re.MULTILINE) == [
        "web",
        "worker",
    ]
    assert re.findall(r"^worker +\| (.*)", said.stdout, re.MULTILINE)[-1] == "worker down"
