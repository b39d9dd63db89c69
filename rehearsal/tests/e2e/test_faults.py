"""What goes wrong in life: the catalogue of faults (a sample, or what FAULTS=… picks), and more."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rehearsal.faults.catalogue import CATALOGUE, SAMPLE
from rehearsal.faults.fault import Fault
from rehearsal.faults.run import Runner, pick, runner
from rehearsal.lab import machines
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import Stage, eventually, stack_config, stage

AGENT, SERVER = "gpu-1", "server-1"


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with runner(tmp_path_factory.mktemp("faults"), print) as one:
        yield one


@pytest.mark.parametrize(
    "fault", pick(os.environ.get("FAULTS", ""), CATALOGUE, SAMPLE), ids=lambda fault: fault.name
)
def test_a_fault_is_named_in_time_and_healed(faults: Runner, fault: Fault):
    result = faults.run(fault)
    assert result.passed, result.why


@pytest.fixture
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.131"}
    config["pools"]["rtx"]["hosts"] = {AGENT: "10.77.0.141"}
    with stage("life", tmp_path_factory.mktemp("life"), config) as one:
        yield one


def in_a_process_of_its_own(life: Stage) -> subprocess.Popen[str]:
    """An `up` that can be killed as a whole."""
    life.write()
    code = (
        "import sys; from pathlib import Path\n"
        "from rehearsal import toolbox; from rehearsal.site import Site\n"
        "Site(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])).up(toolbox.prepare())"
    )
    arguments = [life.site.stack, life.site.stack_file, life.site.state]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def is_there(life: Stage, machine: machines.Booted, path: str) -> bool:
    return life.on(machine, f"test -e {path} && echo yes || echo no") == "yes"


def test_the_next_up_heals_a_killed_one(life: Stage):
    booted = life.machines_up()
    server = booted[SERVER]
    run = in_a_process_of_its_own(life)
    eventually("the server's unit to start", lambda: is_there(life, server, "/etc/rancher/k3s/config.yaml"))
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    # The machine finishes what it had begun, deaf to the hang-up.
    ready = "k3s kubectl get --raw /readyz >/dev/null 2>&1 && echo ready || :"
    eventually("the server to become ready by itself", lambda: life.on(server, ready))
    start = life.on(server, "systemctl show --property InvocationID --value k3s")
    life.up()
    assert "an earlier run was killed; its lock is taken away" in life.said
    assert life.on(server, "systemctl show --property InvocationID --value k3s") == start
    assert life.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(life.up()) == {"same"}


def test_what_the_operator_leaves_goes_and_what_was_there_stays(life: Stage):
    """Its driver mounts the host's own folders below /run/nvidia: nothing may be deleted through them."""
    booted = life.machines_up()
    agent = booted[AGENT]
    life.on(agent, "mkdir -p /etc/containerd/conf.d && echo theirs >/etc/containerd/conf.d/99-nvidia.toml")
    life.up()
    life.on(
        agent,
        "mkdir -p /usr/local/nvidia/toolkit /run/nvidia/driver/var/log && echo kept >/var/log/kept"
        " && mount --bind /var/log /run/nvidia/driver/var/log",
    )
    life.destroy()
    assert not is_there(life, agent, "/usr/local/nvidia") and not is_there(life, agent, "/run/nvidia")
    assert life.on(agent, "cat /var/log/kept /etc/containerd/conf.d/99-nvidia.toml") == "kept\ntheirs"


def test_a_change_after_a_half_failed_install_reaches_every_agent(life: Stage):
    life.config["pools"]["rtx"]["hosts"].update({"gpu-2": "10.77.0.142", "gpu-3": "10.77.0.143"})
    life.config["k3s"]["startTimeoutSeconds"] = 20
    booted = life.machines_up()
    life.on(booted["gpu-2"], f"iptables -A OUTPUT -d {booted[SERVER].address} -p tcp --dport 6443 -j REJECT")
    life.refused(life.up)
    life.on(booted["gpu-2"], "iptables -F OUTPUT")
    life.config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    life.up()
    for name in (AGENT, "gpu-2", "gpu-3"):
        assert "max-pods=200" in life.on(booted[name], "cat /etc/rancher/k3s/config.yaml")


def test_an_agent_leaves_pods_first_then_k3s_then_node(life: Stage):
    life.config["pools"]["rtx"]["hosts"]["gpu-2"] = "10.77.0.142"
    booted = life.machines_up()
    life.up()
    assert len(life.get("nodes")["items"]) == 3
    del life.config["pools"]["rtx"]["hosts"]["gpu-2"]
    life.up()
    assert {node["metadata"]["name"] for node in life.get("nodes")["items"]} == {AGENT, SERVER}
    assert not is_there(life, booted["gpu-2"], "/usr/local/bin/k3s")

    def nodes_of_pods() -> set[str]:
        pods = life.get("pods", "--selector", "app=nvidia-plugin-test-2")["items"]
        return {pod["spec"].get("nodeName") for pod in pods}

    eventually("both pods on the remaining node", lambda: nodes_of_pods() == {AGENT})
