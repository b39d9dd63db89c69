"""An existing cluster: created by one stack, used by another one through a user's kubeconfig."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.process import run

NODE = "box"
MARKS = ("nvidia.com/device-plugin.config", "accelerator")
GUIDES = ROOT / "docs/guides"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """k3s without the operator, on one machine with a card."""
    config = stack_config("single")
    pool = next(iter(config["pools"].values()))
    pool["hosts"] = {NODE: "10.77.0.60"}
    del config["workloads"], config["sharing"]
    config["gpuOperator"] = {"enabled": False}
    pool["gpu"].pop("profile", None)
    with stack_fixture("theirs", tmp_path_factory.mktemp("theirs"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machine(theirs: StackFixture) -> RunningMachine:
    machines = theirs.start_machines()
    theirs.up()
    return machines[NODE]


@pytest.fixture(scope="module")
def labels_before(theirs: StackFixture, machine: RunningMachine) -> Mapping[str, str]:
    """The Node's labels before the other stack's first `up`."""
    return labels(theirs)


@pytest.fixture(scope="module")
def own(theirs: StackFixture, machine: RunningMachine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's kubeconfig with this cluster and another one."""
    file = tmp_path_factory.mktemp("own") / "config"
    file.write_text("clusters:\n- name: other\n  cluster:\n    server: https://nowhere.example.org\n")
    kubeconfig(file, "--stack", "theirs", "--from", str(theirs.stack.kubeconfig))
    return file


def kubeconfig(file: Path, *words: str) -> str:
    return run(
        [sys.executable, "-m", "k3sgpu", "kubeconfig", *words], timeout=60, env={"KUBECONFIG": str(file)}
    )


@pytest.fixture(scope="module")
def ours(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """The stack that shares the card of the existing cluster."""
    config = stack_config("single")
    (pool,) = config["pools"].values()
    given = {"kubeconfig": {"file": str(own), "context": "theirs"}}
    pools = {"rtx": {"nodes": [NODE], "gpu": pool["gpu"]}}
    kept = {key: config[key] for key in ("gpuOperator", "sharing", "workloads") if key in config}
    with stack_fixture("ours", tmp_path_factory.mktemp("ours"), {**given, **kept, "pools": pools}) as one:
        yield one


def labels(theirs: StackFixture) -> Mapping[str, str]:
    return theirs.get("node", NODE)["metadata"]["labels"]


def names(theirs: StackFixture, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in theirs.get(kind)["items"]}


def starts(theirs: StackFixture, machine: RunningMachine) -> str:
    return theirs.run_on(machine, "systemctl show --property InvocationID --value k3s")


def test_kubectl_finds_the_added_cluster(theirs: StackFixture, own: Path):
    kubectl = [theirs.tools.kubectl, "--kubeconfig", own]
    assert run([*kubectl, "--context", "theirs", "get", "nodes", "--output=name"], timeout=60).split() == [
        f"node/{NODE}"
    ]
    assert set(run([*kubectl, "config", "get-clusters"], timeout=60).split()) == {"NAME", "other", "theirs"}


def test_up_on_an_existing_cluster_touches_no_machine(
    theirs: StackFixture,
    ours: StackFixture,
    machine: RunningMachine,
    labels_before: Mapping[str, str],
):
    before = starts(theirs, machine)
    assert {"nvidia"} <= names(theirs, "runtimeclasses") and not set(MARKS) & set(labels_before)
    ours.start_machines()
    ours.up()
    node = theirs.get("node", NODE)
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(MARKS) <= set(labels(theirs))
    assert "of 6 slices taken" in "\n".join(ours.output)
    for name, workload in ours.stack.settings().workloads.items():
        pods = theirs.get("pods", "--selector", f"app={name}")["items"]
        assert [pod["status"]["phase"] for pod in pods] == ["Running"] * workload.replicas
    assert set(ours.up()) == {"same"}
    assert starts(theirs, machine) == before


def test_doctor_checks_an_existing_cluster_and_no_hosts(ours: StackFixture):
    for command, expected in {"cluster": f"{NODE}  Ready", "hosts": "no hosts to check"}.items():
        words = [sys.executable, "-m", "k3sgpu", "doctor", command, "--file", str(ours.stack.stack_file)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and expected in done.stdout, done.stdout + done.stderr


def test_a_missing_node_is_not_created(theirs: StackFixture, ours: StackFixture):
    ours.config["pools"]["rtx"]["nodes"] = [NODE, "bix"]
    try:
        said = ours.expect_failure(ours.up)
    finally:
        ours.config["pools"]["rtx"]["nodes"] = [NODE]
    assert "bix" in said and "not in the cluster" in said
    assert [node["metadata"]["name"] for node in theirs.get("nodes")["items"]] == [NODE]


def test_down_leaves_the_existing_cluster_running(
    theirs: StackFixture, ours: StackFixture, machine: RunningMachine
):
    before = starts(theirs, machine)
    ours.destroy()
    assert ours.resources() == {}
    assert not set(MARKS) & set(labels(theirs))
    assert "gpu-operator" not in names(theirs, "namespaces")
    assert theirs.get("deployments")["items"] == []
    assert starts(theirs, machine) == before
    assert theirs.up().keys() == {"same"}, "the stack that created the cluster sees no change"


def test_labels_that_stay_are_removed_as_the_guide_says(
    theirs: StackFixture, labels_before: Mapping[str, str]
):
    def left() -> set[str]:
        return set(labels(theirs)) - set(labels_before)

    guide = (GUIDES / "existing-cluster.md").read_text()
    (command,) = re.findall(r"^ *kubectl (label nodes (?:.*\\\n)*.*)$", guide, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", ""))
    removed = {word.removesuffix("-") for word in words if word.endswith("-")}
    only_with_mig = {"nvidia.com/gpu.deploy.mig-manager"}
    wait_until("discovery's labels to go", lambda: left() == removed - only_with_mig)
    theirs.kubectl(*words)
    assert labels(theirs) == labels_before


def test_runtime_class_that_goes_is_back_after_a_restart_of_k3s(
    theirs: StackFixture, machine: RunningMachine
):
    wait_until("the garbage collector", lambda: "nvidia" not in names(theirs, "runtimeclasses"))
    theirs.run_on(machine, "systemctl restart k3s")
    wait_until("k3s to create it", lambda: "nvidia" in names(theirs, "runtimeclasses"))


def test_crds_that_stay_are_in_the_guide(theirs: StackFixture):
    rows = re.findall(
        r"^\| `([a-z0-9.-]+)` \| (`.*?) \|", (GUIDES / "operations.md").read_text(), re.MULTILINE
    )
    listed = {f"{plural}.{group}" for group, cell in rows for plural in re.findall(r"`(\w+)`", cell)}
    found = {name for name in names(theirs, "crds") if "nvidia.com" in name or "nfd." in name}
    assert found == listed and len(found) == 8


def test_the_kubeconfig_is_as_it_was(own: Path):
    assert "removed cluster theirs" in kubeconfig(own, "--stack", "theirs", "--remove")
    assert "theirs" not in own.read_text() and "nowhere.example.org" in own.read_text()
