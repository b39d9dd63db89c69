"""The guide "share one card among five people": from an empty machine to five kubeconfigs that work."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal import process
from rehearsal.lab.engine import PROJECT, ROOT
from rehearsal.lab.fixture import StackFixture, stack_fixture, wait_until
from rehearsal.process import RehearsalError

EXAMPLE = ROOT / "docs/examples/Pulumi.five-people.yaml"
GUIDE = ROOT / "docs/guides/teams.md"
TEAM = {"ana": "research", "bo": "research", "cy": "students", "di": "students", "eva": "students"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """The example as it is."""
    config = yaml.safe_load(EXAMPLE.read_text())["config"]
    config = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}
    del config["ssh"]
    with stack_fixture("five-people", tmp_path_factory.mktemp("five"), config) as one:
        yield one


def kubeconfig(cluster: StackFixture, member: str) -> Path:
    return cluster.stack.folder / "members" / member


def create(cluster: StackFixture, member: str, name: str, slices: int, **spec: Any) -> None:
    """Creates a pod as the member. Raises RehearsalError with kubectl's stderr."""
    container = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": str(slices)}}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }
    command = [cluster.tools.kubectl, "--kubeconfig", kubeconfig(cluster, member), "create", "-f", "-"]
    process.run(command, timeout=60, stdin=json.dumps(pod))


def command(cluster: StackFixture, member: str, *words: str, status: int = 0) -> str:
    """What a command for members prints; it must end with this exit status."""
    given = [sys.executable, "-m", "k3sgpu", *words, "--kubeconfig", str(kubeconfig(cluster, member))]
    done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def phase(cluster: StackFixture, member: str, name: str) -> str:
    pod = cluster.get("pods", "--namespace", TEAM[member], "--field-selector", f"metadata.name={name}")
    return pod["items"][0]["status"].get("phase", "") if pod["items"] else "gone"


def test_guide_shows_the_example(cluster: StackFixture):
    shown = GUIDE.read_text().split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(shown)["config"][f"{PROJECT}:teams"] == cluster.config["teams"]


def test_empty_machine_becomes_five_kubeconfigs(cluster: StackFixture):
    cluster.start_machines()
    cluster.up()
    members = cluster.stack.folder / "members"
    assert sorted(one.name for one in members.iterdir()) == sorted(TEAM)
    for member, team in TEAM.items():
        free = json.loads(command(cluster, member, "free", "--json"))
        assert (free["team"], free["member"]) == (team, member)


def test_each_student_has_one_slice(cluster: StackFixture):
    for member in ("cy", "di"):
        create(cluster, member, f"{member}-1", 1)
        wait_until(
            f"{member}'s pod", lambda member=member: phase(cluster, member, f"{member}-1") == "Running"
        )
    with pytest.raises(RehearsalError, match="exceeded quota"):
        create(cluster, "cy", "cy-2", 1)


def test_a_burst_makes_room_for_researchers(cluster: StackFixture):
    create(cluster, "eva", "eva-1", 1, priorityClassName="burst-rtx.eva")
    wait_until("eva's pod", lambda: phase(cluster, "eva", "eva-1") == "Running")
    for member in ("ana", "bo"):
        create(cluster, member, f"{member}-1", 2)
    for member in ("ana", "bo"):
        wait_until(
            f"{member}'s pod", lambda member=member: phase(cluster, member, f"{member}-1") == "Running"
        )
    wait_until("the burst to be preempted", lambda: phase(cluster, "eva", "eva-1") == "gone")
    assert {member: phase(cluster, member, f"{member}-1") for member in ("cy", "di")} == {
        "cy": "Running",
        "di": "Running",
    }
    assert "gave way to a guaranteed pod" in command(cluster, "eva", "why", "eva-1", status=1)


def test_destroy_leaves_nothing(cluster: StackFixture):
    cluster.destroy()
    assert cluster.resources() == {}
