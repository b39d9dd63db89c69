"""The graph on an existing cluster: no host in it, and a destroy deletes only what the stack has created."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pulumi
import pytest
import yaml

from tests.program.graphs import with_existing_cluster
from tests.unit.components.test_components import certificate_until
from tools import mocked_program as g
from tools.plan import planned, tree, violations

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def graph() -> g.Graph:
    return g.run(with_existing_cluster(), secrets={"clusterKubeconfig": g.KUBECONFIG})


def test_existing_cluster_has_no_host_commands(graph: g.Graph):
    assert not [one for one in graph if one.type == "command:remote:Command"]
    cluster = graph.of("cluster", "GivenCluster").urn
    assert sorted((one.type, one.name) for one in graph if one.parent == cluster) == [
        ("command:local:Command", "cluster-seen"),
        ("pulumi:providers:kubernetes", "cluster"),
    ]


def test_destroy_deletes_objects_from_an_existing_cluster(graph: g.Graph):
    inside = [one for one in graph if one.type.startswith("kubernetes:")]
    assert len(inside) > 5
    assert not [one.name for one in inside if one.options.deletedWith]


def test_objects_are_created_after_the_nodes_were_found(graph: g.Graph):
    for one in graph:
        if one.type.startswith("kubernetes:"):
            assert "cluster-seen" in graph.before(one)
    expected = json.loads(graph.of("cluster-seen").inputs["environment"]["K3SGPU_EXPECTED_STATE"])
    assert [node["name"] for node in expected["nodes"]] == ["gpu-1"]


def test_kubeconfig_of_an_existing_cluster_is_a_secret(graph: g.Graph):
    assert isinstance(graph.of("cluster", "kubernetes").inputs["kubeconfig"], g.Hidden)
    assert isinstance(graph.of("cluster-seen").inputs["stdin"], g.Hidden)
    assert "k3s" not in graph.exports["versions"] and "machines" not in graph.exports["look"]


def test_adopted_operator_is_imported_with_its_names():
    config = with_existing_cluster()
    values = {"driver": {"enabled": False}, "toolkit": {"enabled": False}}
    config["gpuOperator"] = {"release": "op-1", "version": "v26.7.0", "adopted": True, "values": values}
    config["sharing"]["adopted"] = {"configMap": "by-hand", "default": ""}
    graph = g.run(config, secrets={"clusterKubeconfig": g.KUBECONFIG})
    imported = {one.name: one.options.importId for one in graph if one.options.importId}
    assert imported == {"gpu-profiles": "gpu-operator/by-hand", "gpu-operator": "gpu-operator/op-1"}
    assert graph.of("gpu-profiles", "Namespace").options.importId == "gpu-operator"
    assert graph.of("gpu-operator", "Release").inputs["values"] == values
    policy = graph.of("gpu-sharing", "ClusterPolicyPatch").inputs["spec"]
    assert policy["devicePlugin"]["config"] == {"name": "by-hand"}


def test_protected_operator_protects_the_stack():
    config = with_existing_cluster()
    assert not g.run(config, secrets={"clusterKubeconfig": g.KUBECONFIG}).of("guard").options.protect
    config["gpuOperator"]["protect"] = True
    assert g.run(config, secrets={"clusterKubeconfig": g.KUBECONFIG}).of("guard").options.protect


def test_plan_needs_no_kubeconfig():
    graph = planned(ROOT / "docs/examples/Pulumi.existing.yaml", "existing")
    assert "GivenCluster" in tree(graph) and violations(graph) == []


def test_certificate_that_ends_soon_is_reported(monkeypatch: pytest.MonkeyPatch):
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, **_: warnings.append(message))
    user = {"client-certificate-data": certificate_until(datetime.now(UTC) + timedelta(days=9))}
    soon = yaml.safe_load(g.KUBECONFIG) | {"users": [{"name": "default", "user": user}]}
    g.run(with_existing_cluster(), secrets={"clusterKubeconfig": yaml.safe_dump(soon)})
    assert [one for one in warnings if "certificate ends on" in one and "new kubeconfig" in one]
