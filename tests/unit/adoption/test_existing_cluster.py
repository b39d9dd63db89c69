"""An operator that was installed by hand, as a stack file, and what no stack file expresses."""

from dataclasses import replace
from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.adoption.cluster_objects import ClusterObjects
from k3sgpu.adoption.existing_cluster import describe_cluster
from k3sgpu.adoption.helm_releases import newest_releases
from tests.data.adopted_cluster import KEY, RELEASE, SIX, VALUES, node, objects, record

KUBECONFIG = {"file": "~/.kube/config"}
EIGHT = SIX.replace("6", "8")


def settings_of(found: ClusterObjects) -> s.Settings:
    draft = describe_cluster(found, KUBECONFIG)
    assert draft.problems == (), draft.problems
    return s.parse(draft.sections)


def test_article_becomes_a_stack_file():
    settings = settings_of(objects())
    operator, adopted = settings.gpu_operator, settings.sharing.adopted
    assert (operator.release, operator.adopted, operator.version) == (RELEASE, True, "v26.7.0")
    assert (operator.values, operator.driver, operator.toolkit) == (VALUES, "host", "host")
    assert operator.protect and adopted
    assert (adopted.config_map, adopted.default) == ("time-slicing-config", KEY)
    (offer,) = capacity.offers(settings)
    assert (offer.resources, offer.labels["nvidia.com/device-plugin.config"]) == ({"nvidia.com/gpu": 6}, KEY)
    assert capacity.default_config_key(settings) == KEY
    assert set(capacity.config_map_data(settings)) == {KEY, "none"}


def test_nodes_keep_the_keys_of_their_labels():
    nodes = (node("gpu-1"), node("gpu-2", 8, config="big"), node("gpu-3", 6, config=KEY))
    settings = settings_of(objects(data={KEY: SIX, "big": EIGHT}, nodes=nodes))
    keys = {one.name: one.labels["nvidia.com/device-plugin.config"] for one in capacity.offers(settings)}
    assert keys == {"gpu-1": KEY, "gpu-2": "big", "gpu-3": KEY}
    assert [sorted(pool.nodes) for pool in settings.pools.values()] == [["gpu-1", "gpu-3"], ["gpu-2"]]


def test_sharing_without_a_default_stays_without_one():
    settings = settings_of(objects(default="", nodes=(node(slices=1),)))
    assert capacity.default_config_key(settings) == ""
    assert settings.nodes[0].gpu and settings.nodes[0].gpu.profile == "none"


def test_node_without_the_device_plugin_is_left_out():
    opted_out = node("gpu-2")
    opted_out["metadata"]["labels"]["nvidia.com/gpu.deploy.operands"] = "false"
    (pool,) = settings_of(objects(nodes=(node(), opted_out))).pools.values()
    assert list(pool.nodes) == ["gpu-1"]


def test_newest_revision_counts():
    old, new = record(revision=9, status="superseded"), record(revision=10, version="v26.7.1")
    assert [(one.revision, one.version) for one in newest_releases([new, old])] == [(10, "v26.7.1")]
    broken = {"metadata": {"labels": {"name": "x", "version": "1"}}, "data": {"release": "bm90IGd6aXA="}}
    assert newest_releases([broken]) == []


def without(**parts: Any) -> ClusterObjects:
    return replace(objects(), **parts)


CASES: dict[str, tuple[ClusterObjects, str, str]] = {
    "no operator": (without(policies=(), releases=()), "gpuOperator", "no GPU Operator"),
    "from manifests": (without(releases=()), "gpuOperator.release", "no Helm release"),
    "no ClusterPolicy": (without(policies=()), "gpuOperator.release", "without a ClusterPolicy"),
    "two releases": (objects(record(), record("b")), "gpuOperator.release", "several releases"),
    "a release of k3s": (
        without(controllers={RELEASE: "HelmChart kube-system/op"}), "gpuOperator.release", "kube-system/op"),
    "a release of Flux": (
        without(controllers={RELEASE: "HelmRelease flux/op"}), "gpuOperator.release", "HelmRelease flux/op"),
    "another namespace": (objects(record(namespace="nvidia")), "gpuOperator.release", "namespace nvidia"),
    "a failed release": (objects(record(status="failed")), "gpuOperator.release", "is failed"),
    "an interrupted release": (objects(record(status="pending-upgrade")), "gpuOperator.release", "pending"),
    "a field changed by kubectl": (
        objects(by_hand={"f:dcgmExporter": {"f:enabled": {}}}), "gpuOperator.values", "dcgmExporter.enabled"),
    "a field with another value": (
        objects(spec={"toolkit": {"enabled": False, "version": "v1.17.0"}}),
        "gpuOperator.values", "toolkit.version"),
    "a missing ConfigMap": (without(config_map=None), "ConfigMap gpu-operator/", "no such ConfigMap"),
    "an immutable ConfigMap": (
        without(config_map={"data": {KEY: SIX}, "immutable": True}), "ConfigMap", "immutable"),
    "a default without a key": (objects(default="other"), "ConfigMap", "no key other"),
    "a label without a key": (objects(nodes=(node(config="other"),)), "ConfigMap", "label nvidia.com/devi"),
    "flags of the plugin": (
        objects(data={KEY: SIX + "flags:\n  plugin: {passDeviceSpecs: true}\n"}),
        "ConfigMap", "it has flags.plugin"),
    "a renamed resource": (
        objects(data={KEY: SIX + "      rename: nvidia.com/x\n"}), "ConfigMap", "resources has rename"),
    "one replica": (objects(data={KEY: SIX.replace("6", "1")}), "ConfigMap", "replicas"),
    "text that is no YAML": (objects(data={KEY: "a: ["}), "ConfigMap", "it is not YAML"),
    "no labels of discovery": (objects(nodes=(node(product=""),)), "gpu-1", "no label nvidia.com/gpu.prod"),
    "partitions": (objects(nodes=(node(product="NVIDIA-A100-MIG-1g.5gb"),)), "gpu-1", "partitions"),
    "no cards": (objects(nodes=(node(present="false"),)), "pools", "no node with the label"),
    "an old configuration in use": (objects(nodes=(node(slices=4),)), "gpu-1", "4 nvidia.com/gpu"),
    "a value that nothing works with": (
        objects(record(values=VALUES | {"gfd": {"enabled": False}})), "gpuOperator.values.gfd", "false"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_no_stack_file_expresses_is_an_error(case: str):
    found, where, text = CASES[case]
    draft = describe_cluster(found, KUBECONFIG)
    assert draft.has_errors
    assert any(one.where.startswith(where) and text in one.found for one in draft.problems), draft.problems


def test_unused_configuration_is_only_a_warning():
    draft = describe_cluster(objects(data={KEY: SIX, "odd": "version: v2\n"}), KUBECONFIG)
    (problem,) = draft.problems
    assert problem.severity == "warning" and "the first up removes it" in problem.remedy
    assert set(draft.sections["sharing"]["profiles"]) == {KEY}


def test_label_that_the_program_would_change_is_a_warning():
    labelled = node()
    labelled["metadata"]["labels"]["accelerator"] = "example-gpu-x100"
    (problem,) = describe_cluster(objects(nodes=(labelled,)), KUBECONFIG).problems
    assert problem.severity == "warning" and "accelerator=example-gpu-x100" in problem.found


def test_operator_without_sharing_is_described_with_a_warning():
    found = objects(nodes=(node(slices=1),))
    bare = replace(found, policies=({**found.policies[0], "spec": {}},), config_map=None)
    draft = describe_cluster(bare, KUBECONFIG)
    (problem,) = draft.problems
    assert problem.severity == "warning" and "sharing" not in draft.sections
    assert s.parse(draft.sections).gpu_operator.adopted
