"""k3s that was installed by hand, as the article types it, is taken over: adopt, up, and on as usual."""

from collections.abc import Iterator, Mapping

import pytest

from rehearsal.lab.fixture import wait_until
from rehearsal.tests.e2e.hand_made import HandMade, hand_made, ready

NEXT_VERSION = "v1.37.1+k3s1"
SERVER, AGENT, LATER = "10.77.0.71", "10.77.0.72", "10.77.0.73"
ETCD = {"s-1": "10.77.0.74", "s-2": "10.77.0.75", "s-3": "10.77.0.76"}
WORKER = "10.77.0.77"


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HandMade]:
    """A server and an agent, with pods on both."""
    folder = tmp_path_factory.mktemp("article")
    agents = {"gpu": AGENT, "later": LATER}
    with hand_made("article", folder, {"box": SERVER}, agents) as made:
        made.install("box", 'INSTALL_K3S_EXEC="server --disable traefik"')
        token = made.on("box", "cat /var/lib/rancher/k3s/server/node-token")
        made.install("gpu", f"K3S_URL=https://{SERVER}:6443 K3S_TOKEN={token}")
        ready(made, "box", 2)
        made.on("box", "k3s kubectl create deployment hello --image=registry.k8s.io/pause:3.10 --replicas=4")
        wait_until("4 pods", lambda: made.on("box", "k3s kubectl get pods").count(" Running ") == 4)
        yield made


@pytest.fixture(scope="module")
def before(article: HandMade) -> tuple[Mapping[str, str], str]:
    """Starts and pods before anything of this program has been here."""
    return article.starts(), article.pods("box")


def test_agent_alone_is_refused_and_nothing_is_written(article: HandMade, before: object):
    status, said = article.adopt("alone", AGENT)
    assert status == 1 and "agents of k3s alone" in said and "is not written" in said
    assert not (article.folder / "Pulumi.alone.yaml").exists()


def test_machine_without_k3s_is_refused(article: HandMade, before: object):
    status, said = article.adopt("bare", SERVER, AGENT, LATER)
    assert status == 1 and "no k3s" in said and not (article.folder / "Pulumi.bare.yaml").exists()


def test_hand_made_cluster_is_taken_over_without_a_restart(
    article: HandMade, before: tuple[Mapping[str, str], str]
):
    status, said = article.adopt("taken", SERVER, AGENT)
    assert status == 0 and "box: server" in said and "gpu: agent" in said
    fixture = article.fixture
    fixture.config = article.config("taken")
    assert fixture.config["k3s"]["disable"] == ["traefik"] and fixture.config["k3s"]["protect"] is True
    assert set(fixture.preview()) <= {"create", "same"}

    article.on("gpu", "mkdir -p /etc/rancher/k3s && echo 'debug: true' >/etc/rancher/k3s/config.yaml")
    assert "has changed since adopt read it" in fixture.expect_failure(fixture.up)
    article.on("gpu", "rm /etc/rancher/k3s/config.yaml")

    fixture.up()
    assert "took over k3s" in "\n".join(fixture.output)
    assert (article.starts(), article.pods("box")) == before
    assert set(fixture.up()) == {"same"}
    assert (article.starts(), article.pods("box")) == before
    kept = "/etc/k3s-gpu-sharing/adopted/files/etc/systemd/system/k3s.service"
    assert "'--disable'" in article.on("box", f"cat {kept}")


def test_another_agent_joins_the_adopted_cluster(article: HandMade, before: tuple[Mapping[str, str], str]):
    fixture = article.fixture
    pools = fixture.config["pools"]
    next(pool for pool in pools.values() if pool["role"] == "agent")["hosts"]["later"] = LATER
    fixture.up()
    ready(article, "box", 3)
    assert article.starts() == before[0]


def test_changed_setting_restarts_each_node_once(article: HandMade, before: tuple[Mapping[str, str], str]):
    fixture = article.fixture
    fixture.config["k3s"]["kubeletArgs"] = {"max-pods": 100}
    fixture.up()
    after = article.starts()
    assert all(after[name] != start for name, start in before[0].items())
    assert set(fixture.up()) == {"same"} and article.starts() == after


def test_adopted_cluster_is_protected_and_then_removed(article: HandMade):
    fixture = article.fixture
    assert "cannot be deleted" in fixture.expect_failure(fixture.destroy)
    fixture.config["k3s"]["protect"] = False
    fixture.up()
    fixture.destroy()
    for name in article.machines:
        left = article.on(
            name, "ls -d /etc/rancher /var/lib/rancher /usr/local/bin/k3s* /etc/k3s-gpu-sharing 2>&1 || :"
        )
        assert left.count("cannot access") == 4, left


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HandMade]:
    """Three servers with etcd and an agent, with flags, environment and files."""
    folder = tmp_path_factory.mktemp("etcd")
    first, *others = ETCD
    with hand_made("etcd", folder, ETCD, {"worker": WORKER}) as made:
        common = "--disable traefik --write-kubeconfig-mode 644 --secrets-encryption"
        flags = "--tls-san k3s.example.org --kubelet-arg=max-pods=100 --node-label zone=a"
        made.install(first, "K3S_TOKEN=mine", f"server --cluster-init {common} {flags}")
        for name in others:
            made.install(name, "", f"server --server https://{ETCD[first]}:6443 --token mine {common}")
        made.on("worker", "mkdir -p /etc/rancher/k3s/config.yaml.d")
        made.on("worker", "echo 'node-taint: [team=red:PreferNoSchedule]' >/etc/rancher/k3s/config.yaml")
        made.on("worker", "echo 'kubelet-arg+: [v=2]' >/etc/rancher/k3s/config.yaml.d/1.yaml")
        made.install(
            "worker", f"K3S_URL=https://{ETCD['s-2']}:6443 K3S_TOKEN=mine", "agent --node-name Worker"
        )
        ready(made, first, 4)
        yield made


def test_three_servers_with_flags_are_taken_over(etcd: HandMade):
    started = etcd.starts()
    status, said = etcd.adopt("three", *ETCD.values(), WORKER)
    assert status == 0 and "others than root can read" in said
    fixture = etcd.fixture
    fixture.config = etcd.config("three")
    assert fixture.config["k3s"]["initialServer"] == "s-1"
    assert set(fixture.preview()) <= {"create", "same"}
    fixture.up()
    assert etcd.starts() == started
    assert set(fixture.up()) == {"same"} and etcd.starts() == started
    config = etcd.on("worker", "cat /etc/rancher/k3s/config.yaml; ls /etc/rancher/k3s/config.yaml.d")
    assert "v=2" in config and "1.yaml" not in config


def test_adopted_servers_are_upgraded_one_after_another(etcd: HandMade):
    etcd.fixture.config["k3s"]["version"] = NEXT_VERSION
    etcd.fixture.up()
    nodes = etcd.on("s-1", "k3s kubectl get nodes")
    assert nodes.count(NEXT_VERSION) == 4 and nodes.count(" Ready ") == 4
    assert set(etcd.fixture.up()) == {"same"}
