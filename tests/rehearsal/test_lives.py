"""Nodes and servers over their lives, on one stack: each test starts from where the one before it ended."""

from collections.abc import Iterator

import pytest

from rehearsal import machines

from .stage import Stage, stack_config, stage

ADDRESSES = {**{f"server-{n}": f"10.77.0.{50 + n}" for n in range(1, 5)}, "gpu-1": "10.77.0.55"}
OURS = "k3s-gpu-sharing/"

Booted = dict[str, machines.Booted]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = stack_config("dev")
    config["gpuOperator"] = {"enabled": False}
    config["workloads"] = {}
    config["k3s"].update(initialServer="server-1", registrationAddress=ADDRESSES["server-1"])
    control, rtx = config["pools"]["control"], config["pools"]["rtx"]
    control["hosts"] = {name: ADDRESSES[name] for name in ("server-1", "server-2", "server-3")}
    control["labels"] = {"node-role.kubernetes.io/boss": "true"}
    rtx.update(hosts={"gpu-1": ADDRESSES["gpu-1"]}, labels={"zone": "a", "team": "red"})
    rtx["taints"] = ["team=red:NoSchedule"]
    with stage("lives", tmp_path_factory.mktemp("lives"), config) as one:
        yield one


@pytest.fixture(scope="module")
def booted(lives: Stage) -> Booted:
    booted = lives.machines_up()
    lives.up()
    return booted


def starts(lives: Stage, booted: Booted) -> dict[str, str]:
    """By machine: which start of k3s is running."""
    show = "systemctl show --property InvocationID --value 'k3s*'"
    return {name: lives.on(machine, show) for name, machine in booted.items()}


def about(lives: Stage, name: str) -> tuple[dict[str, str], set[str], set[str]]:
    """A node's labels, its taints, and which annotations of ours it has."""
    node = lives.get("node", name)
    taints = {f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in node["spec"].get("taints", [])}
    notes = {key for key in node["metadata"]["annotations"] if key.startswith(OURS)}
    return node["metadata"]["labels"], taints, notes


def test_labels_and_taints_of_live_nodes_change_and_those_of_others_stay(lives: Stage, booted: Booted):
    labels, taints, _ = about(lives, "gpu-1")
    assert (labels["zone"], labels["team"], taints) == ("a", "red", {"team=red:NoSchedule"})
    assert about(lives, "server-2")[0]["node-role.kubernetes.io/boss"] == "true"
    lives.kubectl("label", "node", "gpu-1", "server-2", "theirs=1")
    lives.kubectl("taint", "node", "gpu-1", "theirs=1:NoSchedule")
    before = starts(lives, booted)

    pools = lives.config["pools"]
    pools["rtx"].update(labels={"zone": "b", "rack": "7"}, taints=["spot:NoSchedule"])
    pools["rtx"]["hosts"]["gpu-1"] = {"address": ADDRESSES["gpu-1"], "labels": {"disk": "ssd"}}
    del pools["control"]["labels"]
    lives.up()
    labels, taints, _ = about(lives, "gpu-1")
    assert {key: labels.get(key) for key in ("zone", "rack", "disk", "team", "theirs")} == {
        "zone": "b",
        "rack": "7",
        "disk": "ssd",
        "team": None,
        "theirs": "1",
    }
    assert taints == {"spot=:NoSchedule", "theirs=1:NoSchedule"}
    labels, _, notes = about(lives, "server-2")
    assert "node-role.kubernetes.io/boss" not in labels and labels["theirs"] == "1" and not notes

    for key in ("labels", "taints"):
        del pools["rtx"][key]
    pools["rtx"]["hosts"]["gpu-1"] = ADDRESSES["gpu-1"]
    lives.up()
    labels, taints, notes = about(lives, "gpu-1")
    assert not labels.keys() & {"zone", "rack", "disk"} and labels["theirs"] == "1"
    assert (taints, notes) == ({"theirs=1:NoSchedule"}, set())
    assert starts(lives, booted) == before
