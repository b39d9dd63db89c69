"""The graph on a cluster that is there already: no machine in it, and everything is taken out again."""

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
def given() -> g.Graph:
    return g.run(with_existing_cluster(), secrets={"clusterKubeconfig": g.KUBECONFIG})


def test_no_machine_is_touched(given: g.Graph):
    assert not [one for one in given if one.type == "command:remote:Command"]
    cluster = given.of("cluster", "GivenCluster").urn
    assert sorted((one.type, one.name) for one in given if one.parent == cluster) == [
        ("command:local:Command", "cluster-seen"),
        ("pulumi:providers:kubernetes", "cluster"),
    ]


def test_what_was_put_into_the_cluster_is_deleted_from_it(given: g.Graph):
    inside = [one for one in given if one.type.startswith("kubernetes:")]
    assert len(inside) > 5
    assert not [one.name for one in inside if one.options.deletedWith]


def test_nothing_is_put_into_it_before_its_nodes_were_seen(given: g.Graph):
    for one in given:
        if one.type.startswith("kubernetes:"):
            assert "cluster-seen" in given.before(one)
    told = json.loads(given.of("cluster-seen").inputs["environment"]["K3SGPU_EXPECTED_STATE"])
    assert [node["name"] for node in told["nodes"]] == ["gpu-1"]


def test_its_kubeconfig_is_a_secret_everywhere(given: g.Graph):
    assert isinstance(given.of("cluster", "kubernetes").inputs["kubeconfig"], g.Hidden)
    assert isinstance(given.of("cluster-seen").inputs["stdin"], g.Hidden)
    assert "k3s" not in given.exports["versions"] and "machines" not in given.exports["look"]


def test_a_plan_needs_no_kubeconfig():
    graph = planned(ROOT / "docs/examples/Pulumi.existing.yaml", "existing")
    assert "GivenCluster" in tree(graph) and violations(graph) == []


def test_a_certificate_that_ends_soon_is_told(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, **_: told.append(message))
    user = {"client-certificate-data": certificate_until(datetime.now(UTC) + timedelta(days=9))}
    soon = yaml.safe_load(g.KUBECONFIG) | {"users": [{"name": "default", "user": user}]}
    g.run(with_existing_cluster(), secrets={"clusterKubeconfig": yaml.safe_dump(soon)})
    assert [one for one in told if "certificate ends on" in one and "new kubeconfig" in one]
