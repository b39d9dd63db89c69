"""The article's cluster, step by step on one stack: each test starts from where the one before it ended."""

import json
import time
from collections.abc import Iterator

import pytest

from rehearsal.faults import leaks
from rehearsal.lab import machines, network
from rehearsal.lab.fixture import Stage, eventually, stack_config, stage
from rehearsal.lab.trace import logins
from rehearsal.process import run
from rehearsal.tests.e2e.objects import deployment, label, offered, phases, unscheduled

AGENT, SERVER = "gpu-1", "server-1"
CLUSTER_ONLY = "urn:pulumi:story::k3s-gpu-sharing::k3sgpu:index:K3sCluster**"
ONE_GPU_POD = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gpu-operator-test", "namespace": "default"},
        "spec": {
            "restartPolicy": "OnFailure",
            "containers": [
                {
                    "name": "cuda-vector-add",
                    "image": "nvcr.io/nvidia/cloud-native/gpu-operator-validator:v22.9.0",
                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                }
            ],
        },
    }
)
# Everything k3s, the operator or this program would leave on a machine.
TRACES = "/etc /usr/local /var/lib /opt /root /run/k3s /run/nvidia /run/flannel"
LISTING = (
    f"find {TRACES} -xdev -not -path '/opt/standin*' -not -path '/var/lib/systemd/*'"
    " -not -path '/var/lib/dbus/*' -not -path '/root/.ssh*' -not -path '/etc/standin*' 2>/dev/null | sort"
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.111"}
    config["pools"]["rtx"]["hosts"] = {AGENT: "10.77.0.121"}
    with stage("story", tmp_path_factory.mktemp("story"), config) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def sampler(story: Stage) -> Iterator[leaks.Sampler]:
    """Watches process lists and temporary files over the whole story."""
    with leaks.sampling(story.site.state / "temporary") as one:
        yield one


@pytest.fixture(scope="module")
def booted(story: Stage) -> dict[str, machines.Booted]:
    return story.machines_up()


@pytest.fixture(scope="module")
def untouched(story: Stage, booted: dict[str, machines.Booted]) -> dict[str, set[str]]:
    """By machine: its files before the first `up`."""
    return {name: set(story.on(machine, LISTING).splitlines()) for name, machine in booted.items()}


def test_first_preview_knows_no_kubeconfig_and_shows_everything(story: Stage, untouched):
    assert story.preview() == {"create": 28}
    assert "4 of 6 slices taken" in "\n".join(story.said)


def test_before_the_operator_a_pod_with_a_gpu_is_pending(story: Stage, booted):
    began = time.time()
    story.up(CLUSTER_ONLY)
    # doctor's look and the join; for the server doctor, converge, tokens, kubeconfig and nodes.
    assert logins(booted, began, time.time()) == {AGENT: 2, SERVER: 5}
    story.kubectl("apply", "--filename", "-", stdin=ONE_GPU_POD)

    def message() -> str:
        pod = story.get("pod", "gpu-operator-test")
        conditions = {c["type"]: c for c in pod["status"].get("conditions", [])}
        return conditions.get("PodScheduled", {}).get("message", "")

    wanted = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu"
    eventually(f"a message that begins {wanted!r}", lambda: message().startswith(wanted))
    story.kubectl("delete", "pod", "gpu-operator-test")


def test_a_whole_card_has_one_pod_and_the_other_is_pending(story: Stage, booted):
    """The article's two pods on one card that nothing shares; the fit foretells the scheduler's words."""
    gpu, workloads = story.config["pools"]["rtx"]["gpu"], story.config["workloads"]
    shared, gpu["profile"] = gpu["profile"], "none"
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    story.config["workloads"] = {"nvidia-plugin-test": {"replicas": 2}}
    assert f"1 of 2 pods stays Pending: {words}" in story.refused(story.preview)
    story.config["workloads"] = {}
    story.up()
    assert offered(story, AGENT) == {"nvidia.com/gpu": "1"}
    assert label(story, AGENT, "gpu.product") == "NVIDIA-GeForce-RTX-2080-Ti"
    story.kubectl("apply", "--filename", "-", stdin=deployment("two", replicas=2))
    eventually("one pod of two to run", lambda: phases(story, "two") == ["Pending", "Running"])
    eventually(f"a message with {words!r}", lambda: words in unscheduled(story, "two"))
    story.kubectl("delete", "deployment", "two")
    gpu["profile"], story.config["workloads"] = shared, workloads


def test_up_ends_as_the_article_ends(story: Stage, booted):
    story.up()
    nodes = {node["metadata"]["name"]: node for node in story.get("nodes")["items"]}
    assert set(nodes) == {AGENT, SERVER}
    for node in nodes.values():
        ready = {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"]
        assert ready == "True"
    gpu = nodes[AGENT]
    assert gpu["status"]["capacity"]["nvidia.com/gpu"] == "6"
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert gpu["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-GeForce-RTX-2080-Ti-SHARED"
    pods = story.get("pods", "--selector", "app=nvidia-plugin-test-2")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {AGENT}
    told = story.site.told(story.tools)
    assert "6 capacity, 6 allocatable, 4 allocated" in told
    assert "nvidia-plugin-test-2: 2 of 2 Running" in told
    assert "4 of 6 slices taken" in told


def test_a_second_up_changes_nothing(story: Stage, booted):
    before = [starts_of(story, machine) for machine in booted.values()]
    assert story.up() == {"same": 28}
    assert before == [starts_of(story, machine) for machine in booted.values()]


def test_a_preview_needs_neither_machines_nor_cluster(story: Stage, booted):
    links = [network.interface(machine.name) for machine in booted.values()]
    try:
        for link in links:
            run(["ip", "link", "set", link, "down"], timeout=10)
        assert story.preview() == {"same": 28}
        said = story.refused(lambda: story.preview(refresh=True))
    finally:
        for link in links:
            run(["ip", "link", "set", link, "up"], timeout=10)
    eventually("an API server that answers again", lambda: story.get("nodes")["items"])
    # A node that was away takes its pods' readiness along for a while.
    eventually("pods that are ready again", lambda: available(story))
    assert "unreachable" in said and "10.77.0.111:6443" in said and "Traceback" not in said


def available(story: Stage) -> bool:
    """Whether Kubernetes holds enough of the workload's pods for available."""
    conditions = story.get("deployment", "nvidia-plugin-test-2")["status"]["conditions"]
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)


def test_a_preview_that_refreshes_shows_what_was_changed_by_hand(story: Stage, booted):
    """As the workflow drift runs it."""
    assert story.preview(refresh=True) == {"same": 28}
    story.kubectl("label", "--overwrite", "node", AGENT, "accelerator=by-hand")
    try:
        before = len(story.said)
        assert story.preview(refresh=True) == {"same": 27, "update": 1}
        assert "gpu-sharing-gpu-1" in "\n".join(story.said[before:])
    finally:
        story.kubectl("label", "--overwrite", "node", AGENT, "accelerator=NVIDIA-GeForce-RTX-2080-Ti")
    assert story.preview(refresh=True) == {"same": 28}


def test_what_the_stack_tells(story: Stage, booted):
    told = story.site.engine(story.tools).outputs()
    assert told["endpoint"] == "https://10.77.0.111:6443"
    assert told["nodes"][AGENT]["promised"] == {"nvidia.com/gpu": 6}
    assert f"{AGENT}  Ready, nvidia.com/gpu 6" in told["seen"]
    assert told["versions"] == {"k3s": "v1.36.2+k3s1", "gpuOperator": "v26.3.3"}


def test_a_protected_server_is_not_destroyed_by_accident(story: Stage, booted):
    story.config["k3s"]["protect"] = True
    assert set(story.up()) <= {"same", "update"}
    assert "guard" in story.refused(story.destroy)
    assert story.up() == {"same": 28}, "nothing was deleted before the engine came to the server"
    story.config["k3s"]["protect"] = False
    assert set(story.up()) <= {"same", "update"}


def test_six_slices_become_eight_and_no_workload_notices(story: Stage, booted):
    pods = {pod["metadata"]["uid"] for pod in story.get("pods")["items"]}
    plugin = story.get("pods", "--namespace", "gpu-operator")["items"]
    profile = story.config["sharing"]["profiles"]["2080ti-12gb"]
    profile["timeSlicing"]["resources"][0]["replicas"] = 8
    changes = story.up()
    # ConfigMap, the node's label, the gate, who has to be moved (nobody); and nothing else.
    assert changes == {"update": 4, "same": 24}
    assert story.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert {pod["metadata"]["uid"] for pod in story.get("pods")["items"]} == pods
    now = story.get("pods", "--namespace", "gpu-operator")["items"]
    assert {pod["metadata"]["uid"] for pod in now} == {pod["metadata"]["uid"] for pod in plugin}


def test_one_setting_of_k3s_replaces_nothing(story: Stage, booted):
    before, starts = story.resources(), {name: starts_of(story, one) for name, one in booted.items()}
    story.config["k3s"]["kubeletArgs"] = {"max-pods": 200}
    # The server's converge and the agent's upkeep.
    assert story.up() == {"update": 2, "same": 26}
    after = story.resources()
    assert {name: r["created"] for name, r in before.items()} == {n: r["created"] for n, r in after.items()}
    assert {name for name, one in booted.items() if starts_of(story, one) != starts[name]} == {AGENT, SERVER}
    assert "max-pods=200" in story.on(booted[AGENT], "cat /etc/rancher/k3s/config.yaml")


def starts_of(story: Stage, machine: machines.Booted) -> str:
    return story.on(machine, "systemctl show --property InvocationID --value 'k3s*'")


def test_a_renamed_key_wipes_no_machine(story: Stage, booted):
    hosts = story.config["pools"]["rtx"]["hosts"]
    start = starts_of(story, booted[AGENT])
    hosts["gpu-a"] = hosts.pop(AGENT)
    try:
        said = story.refused(story.up)
    finally:
        hosts[AGENT] = hosts.pop("gpu-a")
    assert "gpu-1" in said and "keep" in said
    assert starts_of(story, booted[AGENT]) == start
    assert story.on(booted[AGENT], "systemctl is-active k3s-agent") == "active"
    assert story.up().get("same", 0) >= 26


def test_no_secret_lies_open_anywhere(story: Stage, booted, sampler: leaks.Sampler):
    names = {secret.name for secret in leaks.secrets(story, booted.values())}
    assert {"the private key", "the administrator's key", f"{SERVER}'s token"} < names
    assert leaks.scan(story, booted, sampler) == []


def test_destroy_leaves_clean_machines(story: Stage, booted, untouched):
    story.destroy()
    assert story.resources() == {}
    for name, machine in booted.items():
        left = set(story.on(machine, LISTING).splitlines()) - untouched[name]
        assert left == set(), name
        units = "systemctl list-units --all --no-legend 'k3s*'"
        assert story.on(machine, units) == ""
        assert story.on(machine, "ps -e -o comm= | grep -c -E '^(k3s|kube|kwok|kine|gpusim)' || :") == "0"
