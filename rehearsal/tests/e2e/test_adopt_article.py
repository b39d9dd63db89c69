"""The whole article by hand on two machines, k3s, operator and slices, and then taken over together."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rehearsal.lab.fixture import stack_config
from rehearsal.tests.e2e.hand_made import HandMade, hand_made, ready
from rehearsal.tests.e2e.test_adopt_operator import (
    CHART,
    GPU,
    KEY,
    NODE,
    SLICES,
    allocatable,
    install_by_hand,
    running,
)

SERVER, AGENT = "10.77.0.85", "10.77.0.86"
State = tuple[Mapping[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HandMade]:
    """k3s, the operator with a generated name, the ConfigMap, both patches, both Deployments."""
    (pool,) = stack_config("single")["pools"].values()
    gpu = {key: value for key, value in pool["gpu"].items() if key != "profile"}
    folder = tmp_path_factory.mktemp("typed")
    with hand_made("typed", folder, {"main": SERVER}, {NODE: AGENT}, gpu) as made:
        made.install("main", 'INSTALL_K3S_EXEC="server --disable traefik"')
        token = made.on("main", "cat /var/lib/rancher/k3s/server/node-token")
        made.install(NODE, f"K3S_URL=https://{SERVER}:6443 K3S_TOKEN={token}")
        ready(made, "main", 2)
        made.fetch_kubeconfig("main")
        install_by_hand(made.fixture)
        yield made


@pytest.fixture(scope="module")
def before(article: HandMade) -> State:
    """Everything that starts, before anything of this program has been here."""
    return article.starts(), running(article.fixture)


def test_both_are_taken_over_and_nothing_starts_again(article: HandMade, before: State):
    status, said = article.adopt("lab", SERVER, AGENT, "--chart", str(CHART))
    assert status == 0
    for name, (replicas, slices) in SLICES.items():
        assert f"Deployment default/{name} ({replicas} × {slices} {GPU})" in said
    fixture = article.fixture
    fixture.config = article.config("lab")
    assert fixture.config["gpuOperator"]["adopted"] and fixture.config["k3s"]["protect"]
    planned = fixture.preview()
    assert not {"delete", "replace", "create-replacement", "delete-replaced"} & set(planned), planned
    fixture.up()
    assert (article.starts(), running(fixture)) == before
    assert set(fixture.up()) == {"same"}
    assert (article.starts(), running(fixture)) == before


def test_slices_of_the_adopted_cluster_change(article: HandMade, before: State):
    fixture = article.fixture
    fixture.config["sharing"]["profiles"][KEY]["timeSlicing"]["resources"][0]["replicas"] = 8
    fixture.up()
    assert allocatable(fixture) == "8"
    assert (article.starts(), running(fixture)) == before


def test_adopted_cluster_is_destroyed_when_permitted(article: HandMade):
    fixture = article.fixture
    assert "protect" in fixture.expect_failure(fixture.destroy)
    fixture.config["gpuOperator"]["protect"] = fixture.config["k3s"]["protect"] = False
    fixture.up()
    fixture.destroy()
    assert fixture.resources() == {}
    for name in article.machines:
        left = article.on(name, "ls -d /etc/rancher /var/lib/rancher /etc/k3s-gpu-sharing 2>&1 || :")
        assert left.count("cannot access") == 3, left
