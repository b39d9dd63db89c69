"""Two teams on one card: guarantees, bursts, a member who leaves, a guarantee that becomes smaller."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal import process
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.process import RehearsalError

RESOURCE = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """The article's cluster with its six slices, for two teams."""
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {"team-server": "10.77.0.87"}
    config["pools"]["rtx"]["hosts"] = {"team-gpu": "10.77.0.88"}
    config["workloads"] = {}
    config["teams"] = {
        "vision": {"members": ["ana", "bo"], "guaranteed": {"rtx": 4}, "limit": {"rtx": 6}},
        "students": {"members": ["cy"], "limit": {"rtx": 5}, "hours": {"default": 8}},
    }
    with stack_fixture("teams", tmp_path_factory.mktemp("teams"), config) as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the members' kubeconfigs are."""
    return tmp_path_factory.mktemp("members")


def outputs(cluster: StackFixture) -> dict[str, Any]:
    return cluster.stack.engine(cluster.tools).outputs()


def kubectl(cluster: StackFixture, kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    """Runs kubectl as a member. Raises RehearsalError with its stderr when it fails."""
    command = [cluster.tools.kubectl, "--kubeconfig", kubeconfig, "--request-timeout=20s", *arguments]
    return process.run(command, timeout=60, stdin=stdin).strip()


def store(cluster: StackFixture, folder: Path) -> dict[str, Path]:
    """Each member's kubeconfig as a file."""
    files = {name: folder / name for name in outputs(cluster)["memberKubeconfigs"]}
    for name, text in outputs(cluster)["memberKubeconfigs"].items():
        files[name].touch(mode=0o600)
        files[name].write_text(text)
    return files


def deployment(name: str, replicas: int, priority_class: str | None = None) -> str:
    """A Deployment as a member writes it: nothing but its slices, and a class where it is not the default."""
    labels, limits = {"app": name}, {"limits": {RESOURCE: "1"}}
    pod: dict[str, Any] = {"containers": [{"name": "main", "image": "none", "resources": limits}]}
    if priority_class:
        pod["priorityClassName"] = priority_class
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
    )


def running(cluster: StackFixture, team: str) -> dict[str, int]:
    """The team's pods that run, by the app they belong to."""
    found: dict[str, int] = {}
    for pod in cluster.get("pods", "--namespace", team)["items"]:
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"):
            found[pod["metadata"]["labels"]["app"]] = found.get(pod["metadata"]["labels"]["app"], 0) + 1
    return found


def wait_for(cluster: StackFixture, team: str, expected: dict[str, int]) -> None:
    wait_until(f"{expected} in {team}", lambda: running(cluster, team) == expected or None)


def test_members_get_kubeconfigs_for_their_team(cluster: StackFixture, folder: Path):
    cluster.start_machines()
    cluster.up()
    assert set(cluster.up()) == {"same"}
    files = store(cluster, folder)
    assert sorted(files) == ["ana", "bo", "cy"]
    assert {name: one["team"] for name, one in outputs(cluster)["members"].items()} == {
        "ana": "vision",
        "bo": "vision",
        "cy": "students",
    }
    assert kubectl(cluster, files["ana"], "get", "pods", "--output", "name") == ""
    with pytest.raises(RehearsalError, match="forbidden"):
        kubectl(cluster, files["ana"], "get", "pods", "--namespace", "students")


def test_a_burst_takes_slices_that_nobody_uses(cluster: StackFixture, folder: Path):
    kubectl(cluster, folder / "cy", "apply", "--filename", "-", stdin=deployment("many", 5, "burst-rtx"))
    wait_for(cluster, "students", {"many": 5})
    pod = cluster.get("pods", "--namespace", "students")["items"][0]
    assert pod["spec"]["nodeSelector"] == {"k3s-gpu-sharing/pool": "rtx"}
    assert pod["spec"]["activeDeadlineSeconds"] == 8 * 3600


def test_a_guaranteed_pod_preempts_a_burst(cluster: StackFixture, folder: Path):
    kubectl(cluster, folder / "ana", "apply", "--filename", "-", stdin=deployment("train", 4))
    wait_for(cluster, "vision", {"train": 4})
    wait_for(cluster, "students", {"many": 2})
    text = deployment("more", 1, "guaranteed-rtx")
    kubectl(cluster, folder / "bo", "apply", "--filename", "-", stdin=text)
    refused = wait_until(
        "the quota's refusal",
        lambda: [
            event["message"]
            for event in cluster.get("events", "--namespace", "vision")["items"]
            if "exceeded quota: guaranteed-rtx" in event.get("message", "")
        ],
    )
    assert "limited: requests.nvidia.com/gpu=4" in refused[0]
    kubectl(cluster, folder / "bo", "delete", "deployment", "more")


def test_a_member_who_leaves_loses_access(cluster: StackFixture, folder: Path):
    before = outputs(cluster)["memberKubeconfigs"]
    cluster.config["teams"]["vision"]["members"] = ["ana"]
    cluster.up()
    after = outputs(cluster)["memberKubeconfigs"]
    assert after == {name: before[name] for name in ("ana", "cy")}
    # For some seconds the API server remembers whose token it was; his rights are gone at once.
    with pytest.raises(RehearsalError, match=r"Unauthorized|forbidden|must be logged in"):
        kubectl(cluster, folder / "bo", "get", "pods")
    assert running(cluster, "vision") == {"train": 4}


def test_a_smaller_guarantee_evicts_the_newest_pods(cluster: StackFixture, folder: Path):
    newest = sorted(
        cluster.get("pods", "--namespace", "vision")["items"],
        key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]),
    )[-2:]
    cluster.config["teams"]["vision"]["guaranteed"] = {"rtx": 2}
    cluster.config["teams"]["students"]["guaranteed"] = {"rtx": 4}
    before = len(cluster.output)
    cluster.preview()
    told = "\n".join(cluster.output[before:])
    assert all(f"vision/{pod['metadata']['name']}: " in told for pod in newest)
    assert running(cluster, "vision") == {"train": 4}
    cluster.up()
    assert running(cluster, "vision") == {"train": 2}
    left = {pod["metadata"]["name"] for pod in cluster.get("pods", "--namespace", "vision")["items"]}
    assert not left & {pod["metadata"]["name"] for pod in newest}
    text = deployment("mine", 4, "guaranteed-rtx")
    kubectl(cluster, folder / "cy", "apply", "--filename", "-", stdin=text)
    wait_for(cluster, "students", {"mine": 4})


def test_destroy_leaves_nothing_of_the_teams(cluster: StackFixture):
    cluster.destroy()
    assert cluster.resources() == {}
