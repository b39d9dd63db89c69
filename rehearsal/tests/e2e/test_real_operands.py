"""NVIDIA's own device plugin and feature discovery in pods of a real kubelet, on a simulated card."""

import json
from collections.abc import Iterator

import pytest

from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture
from rehearsal.lab.objects import label, offered, pods

NODE, WORKLOAD = "card-1", "nvidia-plugin-test-2"
OPERATOR = ("--namespace", "gpu-operator")
PLUGIN = (
    "logs",
    "daemonset/nvidia-device-plugin-daemonset",
    *OPERATOR,
    "--container",
    "nvidia-device-plugin",
)


@pytest.fixture(scope="module")
def cluster(real_kubelets: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {NODE: "10.77.0.233"}
    with stack_fixture("card", tmp_path_factory.mktemp("card"), config, kubelets="real") as one:
        yield one


def replicas(cluster: StackFixture, count: int) -> None:
    cluster.config["sharing"]["profiles"]["2080ti-12gb"]["timeSlicing"]["resources"][0]["replicas"] = count


def starts(cluster: StackFixture) -> dict[str, str]:
    """When the containers of the workload's running pods started, by the pod's UID."""
    states = {
        uid: pod["status"]["containerStatuses"][0]["state"] for uid, pod in pods(cluster, WORKLOAD).items()
    }
    return {uid: state["running"]["startedAt"] for uid, state in states.items() if "running" in state}


def test_nvidia_programs_offer_the_slices(cluster: StackFixture) -> None:
    cluster.start_machines()
    cluster.up()
    assert offered(cluster, NODE) == {"nvidia.com/gpu": "6"}
    assert label(cluster, NODE, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    assert "Registered device plugin for 'nvidia.com/gpu' with Kubelet" in cluster.kubectl(*PLUGIN)
    assert len(starts(cluster)) == 2


def test_changed_profile_leaves_running_pods_alone(cluster: StackFixture) -> None:
    before = starts(cluster)
    replicas(cluster, 8)
    cluster.up()
    assert offered(cluster, NODE) == {"nvidia.com/gpu": "8"}
    assert starts(cluster) == before


def test_broken_sharing_file_is_healed(cluster: StackFixture) -> None:
    key = label(cluster, NODE, "device-plugin.config")
    one_slice = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 1}]}}"
    patch = ("--type", "merge", "--patch", json.dumps({"data": {key: one_slice}}))
    cluster.kubectl("patch", "configmap", "time-slicing-config", *OPERATOR, *patch)
    cluster.kubectl("delete", "pod", *OPERATOR, "--selector", "app=nvidia-device-plugin-daemonset")
    cluster.refresh()
    cluster.up()
    assert offered(cluster, NODE) == {"nvidia.com/gpu": "8"}


def test_destroy_leaves_nothing_of_the_operands(cluster: StackFixture) -> None:
    (machine,) = cluster.start_machines().values()
    cluster.destroy()
    # Both commands fail when they find nothing, which is what is wanted.
    folders = "ls -d /run/nvidia /var/run/cdi/* /etc/kubernetes /var/lib/kubelet 2>/dev/null"
    assert cluster.run_on(machine, f"{folders}; pgrep -l 'nvidia|nfd|gpu' || true") == ""
