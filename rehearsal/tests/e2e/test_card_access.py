"""Who gets at a card: NVIDIA's own runtime and device plugin, on a real kubelet and a simulated card.

A pod shows whether it has the card's device file and the driver's library; programs need both.
"""

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from k3sgpu.card_access import ENVVAR_OPTION, MOUNTS_OPTION
from rehearsal import __main__ as command
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.progress import Progress
from rehearsal.toolchain import images

NODE = "box-1"
FILES = {"device": "/dev/nvidia0", "driver": "/usr/lib/*/libnvidia-ml.so.*"}
CARD, NOTHING = {"device", "driver"}, set[str]()
BY_MOUNTS = [{"name": "DEVICE_LIST_STRATEGY", "value": "volume-mounts"}]


@pytest.fixture(scope="module")
def cluster(real_kubelets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {NODE: "10.77.0.249"}
    del config["workloads"]
    with stack_fixture("access", tmp_path_factory.mktemp("access"), config, kubelets="real") as one:
        yield one


@pytest.fixture(scope="module")
def machine(cluster: StackFixture) -> RunningMachine:
    machine = cluster.start_machines()[NODE]
    cluster.up()
    return machine


def seen_by(cluster: StackFixture, name: str, *, slices: int = 0) -> set[str]:
    """Those of FILES that a container has which asks for all cards, as the images of nvidia/cuda do."""
    looks = [f"if ls {path} >/dev/null 2>&1; then echo {what}; fi" for what, path in FILES.items()]
    container = {
        "name": "main",
        "image": images.CARD_TEST[0],
        "command": ["sh", "-c", "; ".join(looks)],
        "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}],
        "resources": {"limits": {"nvidia.com/gpu": str(slices)} if slices else {}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"runtimeClassName": "nvidia", "restartPolicy": "Never", "containers": [container]},
    }
    cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(pod))
    ended = ("Succeeded", "Failed")
    wait_until(f"the end of {name}", lambda: cluster.get("pod", name)["status"]["phase"] in ended)
    said = cluster.kubectl("logs", name)
    cluster.kubectl("delete", "pod", name, "--wait=false")
    return set(said.split())


def checked(cluster: StackFixture, capfd: pytest.CaptureFixture[str]) -> str:
    """What doctor says about the machine and the cluster."""
    capfd.readouterr()
    command.doctor(cluster.stack, Progress())
    return capfd.readouterr().out


def accept(cluster: StackFixture, machine: RunningMachine, options: Mapping[str, bool]) -> None:
    """Sets options of the machine's container toolkit."""
    words = [f"--set {name}={str(value).lower()}" for name, value in options.items()]
    cluster.run_on(machine, f"nvidia-ctk --quiet config --in-place {' '.join(words)}")


def test_only_a_pod_with_a_slice_sees_the_card(cluster: StackFixture, machine: RunningMachine):
    assert seen_by(cluster, "slice", slices=1) == CARD
    assert seen_by(cluster, "stranger") == NOTHING


def test_doctor_names_the_open_toolkit_and_its_remedy_closes_it(
    cluster: StackFixture, machine: RunningMachine, capfd: pytest.CaptureFixture[str]
):
    accept(cluster, machine, {ENVVAR_OPTION: True})
    assert seen_by(cluster, "stranger-let-in") == CARD
    said = checked(cluster, capfd)
    assert "warning: card-access" in said and f"{ENVVAR_OPTION} is true" in said
    remedy = re.search(r'"sudo (nvidia-ctk config [^"]+)"', said)
    assert remedy
    cluster.run_on(machine, remedy[1])
    assert "card-access" not in checked(cluster, capfd)
    assert seen_by(cluster, "stranger-kept-out") == NOTHING
    assert seen_by(cluster, "slice-after-remedy", slices=1) == CARD


def test_a_closed_toolkit_without_cdi_hides_cards_from_slices(
    cluster: StackFixture, machine: RunningMachine, capfd: pytest.CaptureFixture[str]
):
    """The preflight refuses it; here it is waived, to see what would happen."""
    cluster.config["gpuOperator"]["values"] = {"cdi": {"enabled": False}}
    said = cluster.expect_failure(cluster.up)
    assert "error: card-access" in said and "pods with a slice get no driver" in said
    cluster.config["doctor"]["waive"].append("card-access")
    cluster.up()
    cluster.config["doctor"]["waive"].remove("card-access")
    # The kubelet itself adds the device files (PASS_DEVICE_SPECS in NVIDIA's DaemonSet).
    assert seen_by(cluster, "blind", slices=1) == {"device"}


def test_volume_mounts_show_cards_to_slices_alone(cluster: StackFixture, machine: RunningMachine):
    accept(cluster, machine, {ENVVAR_OPTION: False, MOUNTS_OPTION: True})
    cluster.config["gpuOperator"]["values"]["devicePlugin"] = {"env": BY_MOUNTS}
    cluster.up()
    assert seen_by(cluster, "slice-by-mount", slices=1) == CARD
    assert seen_by(cluster, "stranger-by-variable") == NOTHING
