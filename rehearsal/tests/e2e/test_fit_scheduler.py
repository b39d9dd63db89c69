"""The fit against the real kube-scheduler: random stacks on Nodes that exist as objects only.

All stacks stand in one cluster at one time. Their pods select on their own stack's nodes, so they do not
disturb each other, and yet every node is in every message.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from components.gpu_workload import TOLERATIONS
from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.capacity.fit import demand_of
from k3sgpu.capacity.node_filters import pending_message
from rehearsal.progress import Progress
from rehearsal.tests.e2e.controlplane import control_plane
from rehearsal.toolchain import toolbox
from tests.data.stack_files import with_

SEED, STACKS = 20261125, 150
DECIDED_SECONDS = 400.0
POLL_SECONDS = 2.0
PODS = "/api/v1/namespaces/default/pods"
STACK = "stack"  # the label that keeps stacks apart
TAINTS: tuple[list[dict[str, str]], ...] = (
    *[[]] * 12,
    [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
    [{"key": "team", "value": "red", "effect": "NoSchedule"}],
    [{"key": "nvidia.com/gpu", "effect": "NoExecute"}],
    [{"key": "slow", "effect": "PreferNoSchedule"}],
)
# Nothing but what makes an account for pods: no controller may judge Nodes without a kubelet.
FLAGS = {
    "kube-apiserver": ["--disable-admission-plugins=TaintNodesByCondition"],
    "kube-controller-manager": ["--controllers=serviceaccount-controller"],
    "kube-scheduler": ["--kube-api-qps=1000", "--kube-api-burst=1000"],
}

Object = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """A random stack, its Nodes, and foreign pods that exist before it."""

    settings: s.Settings
    nodes: list[Object]
    others: list[Object]


def random_stack(name: str, random: Random) -> Stack:
    """A stack with few nodes, and about as many pods as fit, where mistakes are visible."""
    slices = {"two": 2, "three": 3, "six": 6, "renamed": 4}
    profiles: Object = {
        key: {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": number}]}}
        for key, number in slices.items()
    }
    profiles["renamed"]["timeSlicing"]["renameByDefault"] = True
    kinds = random.sample([*slices, "none"], random.choice((1, 1, 1, 2)))
    pools: Object = {"control": {"role": "server", "hosts": {f"{name}-server": "10.0.0.1"}}}
    for number, kind in enumerate(kinds):
        hosts = {f"{name}-{kind}-{n}": f"10.0.{number + 1}.{n + 1}" for n in range(random.randint(1, 4))}
        card = {"product": f"P{number}", "count": random.choice((1, 1, 2)), "memoryMiB": 1, "profile": kind}
        pools[kind] = {"role": "agent", "hosts": hosts, "gpu": card}
    bare = s.parse(with_({"pools": pools, "sharing/profiles": profiles, "workloads": {}}))
    nodes = [_node(offer, name, random) for offer in capacity.offers(bare)]
    workloads = {
        f"{name}-w{n}": _workload(name, nodes, random) for n in range(random.choice((1, 2, 2, 3, 3, 4)))
    }
    parsed = s.parse(with_({"pools": pools, "sharing/profiles": profiles, "workloads": workloads}))
    return Stack(parsed, nodes, _others(name, nodes, random))


def full_kubelet(name: str) -> Stack:
    """A stack of four pods on a node with six slices, whose limit leaves room for two pods."""
    changes: Object = {
        "pools/control/hosts": {f"{name}-server": "10.0.0.1"},
        "pools/rtx/hosts": {f"{name}-gpu": "10.0.1.1"},
        "workloads": {f"{name}-w": {"replicas": 4, "nodeSelector": {STACK: name}}},
    }
    parsed = s.parse(with_(changes))
    offers = capacity.offers(parsed)
    nodes = [_node(offer, name, Random(SEED)) | {"spec": {}} for offer in offers]
    others: list[Object] = []
    for node, offer in zip(nodes, offers, strict=True):
        node["status"]["allocatable"]["pods"] = str(offer.system_pods + 2)
        for number in range(offer.system_pods):
            pod = _pod(f"{offer.name}-system-{number}", "other", "cpu", 0, {})
            pod["spec"]["nodeName"] = offer.name
            others.append(pod)
    return Stack(parsed, nodes, others)


def _node(offer: capacity.NodeOffer, stack: str, random: Random) -> Object:
    amounts = {key: str(number) for key, number in offer.resources.items()}
    amounts |= {"cpu": "8", "memory": "8Gi", "pods": "200"}
    return {
        "metadata": {
            "name": offer.name,
            "labels": {**offer.all_labels, STACK: stack, "zone": random.choice("ab")},
        },
        "spec": {"taints": random.choice(TAINTS), "unschedulable": random.random() < 0.05},
        "status": {"capacity": amounts, "allocatable": amounts},
    }


def _workload(stack: str, nodes: Sequence[Object], random: Random) -> Object:
    node = random.choice([node for node in nodes if "accelerator" in node["metadata"]["labels"]])
    offered = [
        (name, int(number))
        for other in nodes
        for name, number in other["status"]["allocatable"].items()
        if "/" in name and number != "0"
    ]
    resource, room = random.choice([*offered * 20, ("nvidia.com/gpu", 1)])
    labels = node["metadata"]["labels"]
    keys = ("accelerator", "zone", "kubernetes.io/hostname", "nvidia.com/gpu.product")
    chosen = random.choice([*keys, *[None] * 8])
    selector = {chosen: labels.get(chosen, "none")} if chosen else {}
    return {
        "replicas": random.choice((1, 1, 1, 2, 2, 3)),
        "gpus": random.choice((1, 1, min(2, room), min(3, room), room)),
        "resource": resource,
        "nodeSelector": {STACK: stack, **selector},
    }


def _others(stack: str, nodes: Sequence[Object], random: Random) -> list[Object]:
    """Foreign pods, which hold a device on some of the nodes."""
    found = []
    for node in nodes:
        names = [key for key, n in node["status"]["allocatable"].items() if "/" in key and n != "0"]
        if names and random.random() < 0.15:
            pod = _pod(f"{node['metadata']['name']}-other", "other", names[0], 1, {STACK: stack})
            pod["spec"]["nodeName"] = node["metadata"]["name"]
            found.append(pod)
    return found


def _pod(name: str, workload: str, resource: str, count: int, selector: dict[str, str]) -> Object:
    wanted = {resource: str(count)}
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": workload}},
        "spec": {
            "nodeSelector": selector,
            "tolerations": TOLERATIONS,
            "containers": [
                {"name": "main", "image": "none", "resources": {"limits": wanted, "requests": wanted}}
            ],
        },
    }


def _pods(stack: Stack) -> list[Object]:
    return [
        _pod(f"{name}-{n}", name, one.resource, one.gpus, dict(one.node_selector))
        for name, one in stack.settings.workloads.items()
        for n in range(one.pods)
    ]


def _create(client: httpx2.Client, path: str, objects: Iterable[Object]) -> None:
    """Creates objects, several at a time. Raises AssertionError with the API server's answer."""

    def post(one: Object) -> None:
        answer = client.post(path, json=one)
        assert answer.status_code == 201, f"{one['metadata']['name']}: {answer.text}"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, objects))


def _wait_for_account(client: httpx2.Client) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    _wait(lambda: None if client.get(path).status_code == 200 else "no ServiceAccount default yet")


def _wait(missing: Callable[[], str | None]) -> None:
    """Polls until nothing is missing. Raises TimeoutError with the last state."""
    deadline = time.monotonic() + DECIDED_SECONDS
    while last := missing():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {DECIDED_SECONDS:.0f} s: {last}")
        time.sleep(POLL_SECONDS)


def _decided(client: httpx2.Client) -> dict[str, list[Object]]:
    """The pods by workload, after the scheduler has decided on all of them."""
    seen: list[Object] = []

    def missing() -> str | None:
        seen[:] = client.get("/api/v1/pods").raise_for_status().json()["items"]
        waiting = [pod["metadata"]["name"] for pod in seen if not _node_of(pod) and not _message(pod)]
        return f"{len(waiting)} of {len(seen)} pods not decided on, such as {waiting[0]}" if waiting else None

    _wait(missing)
    found: dict[str, list[Object]] = {}
    for pod in seen:
        found.setdefault(pod["metadata"]["labels"]["app"], []).append(pod)
    return found


def _node_of(pod: Object) -> str | None:
    return pod["spec"].get("nodeName")


def _message(pod: Object) -> str | None:
    """The scheduler's message about an unschedulable pod."""
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return condition["message"]
    return None


def _disagreements(fit: capacity.Fit, stack: Stack, found: dict[str, list[Object]]) -> list[str]:
    """Where the scheduler's placement, reasons or counts differ from the fit; empty when they agree."""
    differences: list[str] = []
    pending = 0
    for name, one in stack.settings.workloads.items():
        expected = pending_message(demand_of(name, one), fit.nodes)
        messages = [message for pod in found[name] if not _node_of(pod) and (message := _message(pod))]
        pending += len(messages)
        differences += [
            f"{name}: we said {expected}\n  it said {one}" for one in messages if not one.startswith(expected)
        ]
    if not fit.min_pending <= pending <= fit.max_pending:
        asked = {name: (one.pods, one.gpus, one.resource) for name, one in stack.settings.workloads.items()}
        differences.append(
            f"{fit.verdict}: we said {fit.min_pending} to {fit.max_pending} Pending, {pending} are: {asked}"
        )
    return differences


def test_scheduler_agrees_with_the_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = Random(SEED)
    stacks = [*(random_stack(f"s{number}", random) for number in range(STACKS)), full_kubelet("full")]
    nodes = [node for stack in stacks for node in stack.nodes]
    others = [pod for stack in stacks for pod in stack.others]
    pods = [pod for stack in stacks for pod in _pods(stack)]
    random.shuffle(pods)
    fits = [
        capacity.fit(
            stack.settings,
            capacity.offers(stack.settings),
            capacity.node_usage(stack.settings, nodes, stack.others),
        )
        for stack in stacks
    ]
    programs = toolbox.prepare(Progress()).bin
    with control_plane(tmp_path, programs, scheduler=True, flags=FLAGS) as plane, plane.client(60) as client:
        _wait_for_account(client)
        _create(client, "/api/v1/nodes", nodes)
        _create(client, PODS, others)
        _create(client, PODS, pods)
        found = _decided(client)
    differences = [
        line for fit, stack in zip(fits, stacks, strict=True) for line in _disagreements(fit, stack, found)
    ]
    pending = sum(not _node_of(pod) for some in found.values() for pod in some)
    verdicts = Counter(fit.verdict for fit in fits)
    with capsys.disabled():
        print(
            f"\n{len(stacks)} stacks on {len(nodes)} nodes, {len(pods)} pods, {pending} Pending; we said "
            + ", ".join(f"{name}: {number}" for name, number in sorted(verdicts.items()))
            + f"; bounds equal in {sum(fit.min_pending == fit.max_pending for fit in fits)}"
            + f"; disagreements: {len(differences)}"
        )
    assert not differences, "\n".join(differences)
    assert sum("1 Too many pods" in (_message(pod) or "") for pod in found["full-w"]) == 2
    assert min(verdicts[name] for name in ("any order", "some orders", "no order")) >= 5
