"""An operator that was installed by hand, as the article does it, is taken over and nothing starts again."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import PREFIX, StackFixture, stack_config, stack_fixture, wait_until
from rehearsal.process import run
from rehearsal.tests.e2e.test_operator import chart

NODE, KEY, NAMESPACE, GPU = "box", "2080ti-12gb", "gpu-operator", "nvidia.com/gpu"
CHART = ROOT / "rehearsal/simulators/chart"
CONFIG_MAP = f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: time-slicing-config
  namespace: {NAMESPACE}
data:
    {KEY}: |-
        version: v1
        sharing:
          timeSlicing:
            resources:
            - name: nvidia.com/gpu
              replicas: 6
"""
SLICES = {"nvidia-plugin-test": (1, 1), "nvidia-plugin-test-2": (2, 2)}
"""The article's Deployments: replicas, and slices of each pod."""


def deployment(name: str) -> str:
    replicas, slices = SLICES[name]
    labels = {"app": name}
    container = {"name": "test", "image": "busybox", "resources": {"limits": {GPU: slices}}}
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """k3s on one machine with a card, and in it everything that the article does by hand."""
    config = stack_config("single")
    pool = next(iter(config["pools"].values()))
    pool["hosts"] = {NODE: "10.77.0.61"}
    del config["workloads"], config["sharing"]
    config["gpuOperator"] = {"enabled": False}
    pool["gpu"].pop("profile", None)
    with stack_fixture("hand", tmp_path_factory.mktemp("hand"), config) as one:
        one.start_machines()
        one.up()
        install_by_hand(one)
        yield one


def install_by_hand(one: StackFixture) -> None:
    command = [one.tools.helm, "--kubeconfig", one.stack.kubeconfig, "install", "--wait", "--generate-name"]
    place = ["--namespace", NAMESPACE, "--create-namespace", CHART]
    run([*command, *place, "--set", "driver.enabled=false,toolkit.enabled=false"], timeout=300)
    one.kubectl("apply", "--filename", "-", stdin=CONFIG_MAP)
    for config in ('"name": "time-slicing-config"', f'"name": "time-slicing-config", "default": "{KEY}"'):
        patch = f'{{"spec": {{"devicePlugin": {{"config": {{{config}}}}}}}}}'
        one.kubectl("patch", "clusterpolicy/cluster-policy", "--type", "merge", "--patch", patch)
    wait_until("6 slices", lambda: allocatable(one) == "6")
    for name in SLICES:
        one.kubectl("create", "--filename", "-", stdin=deployment(name))
    wait_until("the Deployments", lambda: all(available(one, name) for name in SLICES))


def allocatable(one: StackFixture) -> str:
    return one.get("node", NODE)["status"]["allocatable"].get(GPU, "")


def available(one: StackFixture, name: str) -> bool:
    return one.get("deployment", name)["status"].get("availableReplicas") == SLICES[name][0]


def running(one: StackFixture) -> dict[str, Any]:
    """What would differ if something had started again: pods, and what their owners want."""
    pods = one.get("pods", "--all-namespaces")["items"]
    own = [pod for pod in pods if "ownerReferences" in pod["metadata"]]
    owners = [*one.get("daemonsets", "--all-namespaces")["items"], *one.get("deployments")["items"]]
    return {
        **{
            pod["metadata"]["name"]: (
                pod["metadata"]["uid"],
                pod["status"].get("startTime"),
                [status["restartCount"] for status in pod["status"].get("containerStatuses", ())],
            )
            for pod in own
            if pod["metadata"]["ownerReferences"][0]["kind"] != "Job"
        },
        **{f"{one['kind']} {one['metadata']['name']}": one["metadata"]["generation"] for one in owners},
    }


def helm(one: StackFixture, *words: str) -> Any:
    command = [one.tools.helm, "--kubeconfig", one.stack.kubeconfig, "--namespace", NAMESPACE, *words]
    return json.loads(run([*command, "--output", "json"], timeout=60))


def releases(one: StackFixture) -> list[dict[str, Any]]:
    return helm(one, "list")


def values(one: StackFixture, release: str) -> dict[str, Any]:
    return helm(one, "get", "values", release)


def adopt(theirs: StackFixture, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k3sgpu", "adopt", "lab", "--kubeconfig", str(theirs.stack.kubeconfig)]
    return subprocess.run(
        [*command, "--chart", str(CHART), *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def ours(theirs: StackFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    """The stack whose file adopt has written."""
    folder = tmp_path_factory.mktemp("lab")
    done = adopt(theirs, folder)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, (replicas, slices) in SLICES.items():
        assert f"Deployment default/{name} ({replicas} × {slices} {GPU})" in done.stdout
    again = adopt(theirs, folder)
    assert again.returncode == 2 and "exists already" in again.stderr
    text = (folder / "Pulumi.lab.yaml").read_text()
    print(text)
    config = {key.removeprefix(PREFIX): value for key, value in yaml.safe_load(text)["config"].items()}
    with stack_fixture("lab", folder, config) as one:
        one.start_machines()
        yield one


def test_adopt_describes_what_was_made_by_hand(ours: StackFixture):
    operator, sharing = ours.config["gpuOperator"], ours.config["sharing"]
    assert re.fullmatch(r"chart-\d+|gpu-operator-\d+", operator["release"]) and operator["adopted"]
    assert operator["values"] == {"driver": {"enabled": False}, "toolkit": {"enabled": False}}
    assert sharing["default"] == KEY and sharing["adopted"]["default"] == KEY
    assert list(sharing["adopted"]["keys"].values()) == [KEY]
    (pool,) = ours.config["pools"].values()
    assert pool["nodes"] == [NODE] and pool["gpu"]["profile"] == KEY


def test_first_up_imports_and_starts_nothing_again(theirs: StackFixture, ours: StackFixture):
    before = running(theirs)
    planned = ours.preview()
    assert not {"delete", "replace", "create-replacement", "delete-replaced"} & set(planned), planned
    ours.up()
    imported = {name for name, one in ours.resources().items() if one.get("importID")}
    assert imported == {
        "kubernetes:core/v1:Namespace gpu-profiles",
        "kubernetes:core/v1:ConfigMap gpu-profiles",
        "kubernetes:helm.sh/v3:Release gpu-operator",
    }
    assert running(theirs) == before
    assert [found["revision"] for found in releases(theirs)] == ["2"]
    assert theirs.get("node", NODE)["metadata"]["labels"]["nvidia.com/device-plugin.config"] == KEY


def test_second_up_changes_nothing(theirs: StackFixture, ours: StackFixture):
    before = running(theirs)
    assert set(ours.up()) == {"same"}
    assert running(theirs) == before
    assert [found["revision"] for found in releases(theirs)] == ["2"]


def test_slices_change_without_a_new_pod(theirs: StackFixture, ours: StackFixture):
    before = running(theirs)
    sharing = ours.config["sharing"]["profiles"][KEY]["timeSlicing"]
    sharing["resources"][0]["replicas"] = 8
    ours.up()
    assert allocatable(theirs) == "8"
    assert running(theirs) == before
    data = theirs.get("configmap", "time-slicing-config", "--namespace", NAMESPACE)["data"]
    label = theirs.get("node", NODE)["metadata"]["labels"]["nvidia.com/device-plugin.config"]
    assert set(data) == {KEY, label, "none"} and data[KEY] == data[label] and label != KEY
    assert set(ours.up()) == {"same"}


def test_adopted_operator_is_upgraded_with_its_values(
    theirs: StackFixture, ours: StackFixture, tmp_path: Path
):
    before = {name: found for name, found in running(theirs).items() if name.startswith("nvidia-plugin-test")}
    operator, own = ours.config["gpuOperator"], dict(ours.config["gpuOperator"])
    operator |= {"version": "v26.7.1", "chart": chart(tmp_path, "v26.7.1")}
    ours.up()
    (found,) = releases(theirs)
    assert found["chart"] == "gpu-operator-v26.7.1" and values(theirs, found["name"]) == operator["values"]
    assert allocatable(theirs) == "8"
    after = running(theirs)
    assert {name: after[name] for name in before} == before
    ours.config["gpuOperator"] = own
    ours.up()


def test_adopted_keys_may_go_when_pods_may_start_again(theirs: StackFixture, ours: StackFixture):
    uids = {name: found for name, found in running(theirs).items() if name.startswith("nvidia-plugin-test")}
    del ours.config["gpuOperator"]["adopted"], ours.config["sharing"]["adopted"]
    del ours.config["gpuOperator"]["values"]
    planned = ours.preview()
    assert not {"delete", "replace", "create-replacement", "delete-replaced"} & set(planned), planned
    ours.up()
    assert allocatable(theirs) == "8"
    after = running(theirs)
    assert {name: after[name] for name in uids} == uids
    assert set(ours.up()) == {"same"}


def test_destroy_needs_permission_and_leaves_workloads(theirs: StackFixture, ours: StackFixture):
    assert "protect" in ours.expect_failure(ours.destroy)
    assert allocatable(theirs) == "8"
    ours.config["gpuOperator"]["protect"] = False
    ours.up()
    ours.destroy()
    assert ours.resources() == {}
    assert NAMESPACE not in {one["metadata"]["name"] for one in theirs.get("namespaces")["items"]}
    assert {one["metadata"]["name"] for one in theirs.get("deployments")["items"]} == set(SLICES)
