"""A cluster that is there already: made by one stack, known to another by a person's kubeconfig alone."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rehearsal.lab import machines
from rehearsal.lab.fixture import Stage, stack_config, stage
from rehearsal.process import run

NODE = "box"
MARKS = ("nvidia.com/device-plugin.config", "accelerator")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """k3s alone on one machine with a card, as the article's reader has it."""
    config = stack_config("single")
    pool = next(iter(config["pools"].values()))
    pool["hosts"] = {NODE: "10.77.0.60"}
    del config["workloads"], config["sharing"]
    config["gpuOperator"] = {"enabled": False}
    pool["gpu"].pop("profile", None)
    with stage("theirs", tmp_path_factory.mktemp("theirs"), config) as one:
        yield one


@pytest.fixture(scope="module")
def machine(theirs: Stage) -> machines.Booted:
    booted = theirs.machines_up()
    theirs.up()
    return booted[NODE]


@pytest.fixture(scope="module")
def own(theirs: Stage, machine: machines.Booted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's kubeconfig, with the cluster in it beside another one."""
    file = tmp_path_factory.mktemp("own") / "config"
    file.write_text("clusters:\n- name: other\n  cluster:\n    server: https://nowhere.example.org\n")
    kubeconfig(file, "--stack", "theirs", "--from", str(theirs.site.kubeconfig))
    return file


def kubeconfig(file: Path, *words: str) -> str:
    return run(
        [sys.executable, "-m", "k3sgpu", "kubeconfig", *words], timeout=60, env={"KUBECONFIG": str(file)}
    )


@pytest.fixture(scope="module")
def ours(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stack that shares its card."""
    config = stack_config("single")
    (pool,) = config["pools"].values()
    given = {"kubeconfig": {"file": str(own), "context": "theirs"}}
    pools = {"rtx": {"nodes": [NODE], "gpu": pool["gpu"]}}
    kept = {key: config[key] for key in ("gpuOperator", "sharing", "workloads") if key in config}
    with stage("ours", tmp_path_factory.mktemp("ours"), {**given, **kept, "pools": pools}) as one:
        yield one


def labels(theirs: Stage) -> Mapping[str, str]:
    return theirs.get("node", NODE)["metadata"]["labels"]


def starts(theirs: Stage, machine: machines.Booted) -> str:
    return theirs.on(machine, "systemctl show --property InvocationID --value k3s")


def test_kubectl_finds_it_beside_the_other(theirs: Stage, own: Path):
    kubectl = [theirs.tools.kubectl, "--kubeconfig", own]
    assert run([*kubectl, "--context", "theirs", "get", "nodes", "--output=name"], timeout=60).split() == [
        f"node/{NODE}"
    ]
    assert set(run([*kubectl, "config", "get-clusters"], timeout=60).split()) == {"NAME", "other", "theirs"}


def test_up_shares_its_card_and_touches_no_machine(theirs: Stage, ours: Stage, machine: machines.Booted):
    before = starts(theirs, machine)
    ours.machines_up()
    ours.up()
    node = theirs.get("node", NODE)
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(MARKS) <= set(labels(theirs))
    assert "of 6 slices taken" in "\n".join(ours.said)
    for name, workload in ours.site.settings().workloads.items():
        pods = theirs.get("pods", "--selector", f"app={name}")["items"]
        assert [pod["status"]["phase"] for pod in pods] == ["Running"] * workload.replicas
    assert set(ours.up()) == {"same"}
    assert starts(theirs, machine) == before


def test_doctor_looks_at_the_cluster_and_has_no_hosts_to_look_at(ours: Stage):
    for look, said in {"cluster": f"{NODE}  Ready", "hosts": "no hosts to look at"}.items():
        command = [sys.executable, "-m", "k3sgpu", "doctor", look, "--file", str(ours.site.stack_file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr


def test_a_node_that_is_not_there_is_not_made(theirs: Stage, ours: Stage):
    ours.config["pools"]["rtx"]["nodes"] = [NODE, "bix"]
    try:
        said = ours.refused(ours.up)
    finally:
        ours.config["pools"]["rtx"]["nodes"] = [NODE]
    assert "bix" in said and "not in the cluster" in said
    assert [node["metadata"]["name"] for node in theirs.get("nodes")["items"]] == [NODE]


def test_down_leaves_the_cluster_bare_and_running(theirs: Stage, ours: Stage, machine: machines.Booted):
    before = starts(theirs, machine)
    ours.destroy()
    assert ours.resources() == {}
    assert not set(MARKS) & set(labels(theirs))
    namespaces = {one["metadata"]["name"] for one in theirs.get("namespaces")["items"]}
    assert "gpu-operator" not in namespaces
    assert theirs.get("deployments")["items"] == []
    assert starts(theirs, machine) == before
    assert theirs.up().keys() == {"same"}, "the stack that made it sees no change"


def test_the_kubeconfig_is_as_it_was(own: Path):
    assert "taken out: cluster theirs" in kubeconfig(own, "--stack", "theirs", "--remove")
    assert "theirs" not in own.read_text() and "nowhere.example.org" in own.read_text()
