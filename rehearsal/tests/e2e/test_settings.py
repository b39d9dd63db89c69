"""What the `k3s` section says, on machines: each test starts from where the one before it ended."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.faults import leaks
from rehearsal.lab import machines
from rehearsal.lab.fixture import Stage, stack_config, stage
from rehearsal.tests.e2e.test_topology import in_order

SERVERS = {f"server-{n}": f"10.77.0.{39 + n}" for n in (1, 2, 3)}
AGENTS = {"gpu-1": "10.77.0.43", "gpu-2": "10.77.0.44"}
CLUSTER_ONLY = "urn:pulumi:told::k3s-gpu-sharing::k3sgpu:index:K3sCluster**"
MIRROR = "mirror.example.org"
PASSWORD = {name: f"{name}-8f1c0b7d4a" for name in ("registry", "proxy", "access", "bucket")}
SECRETS = {
    "registryCredentials": json.dumps({MIRROR: {"username": "lab", "password": PASSWORD["registry"]}}),
    "proxyPassword": PASSWORD["proxy"],
    "s3AccessKey": PASSWORD["access"],
    "s3SecretKey": PASSWORD["bucket"],
}
VERSION = "v1.36.2+k3s1"
OURS = "/usr/local/lib/k3s-gpu-sharing /etc/k3s-gpu-sharing /var/lib/rancher /usr/local/bin/k3s"

Booted = dict[str, machines.Booted]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on this computer; what lies in it no machine can fetch."""
    return tmp_path_factory.mktemp("releases")


def fill(releases: Path, standins: Path) -> None:
    """Puts the stand-in's release there, and an archive of images into it as k3s's releases have one."""
    shutil.copytree(standins / VERSION, releases / VERSION)
    for sums in (releases / VERSION).glob("sha256sum-*.txt"):
        archive = sums.with_name(f"k3s-airgap-images-{sums.stem.split('-')[1]}.tar.zst")
        archive.write_text("images")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        sums.write_text(f"{sums.read_text()}{digest}  {archive.name}\n")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Iterator[Stage]:
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = dict(SERVERS)
    config["pools"]["rtx"].update(hosts=dict(AGENTS), kubeletArgs={"max-pods": 120})
    config["k3s"].update(
        initialServer="server-1",
        registrationAddress=SERVERS["server-1"],
        maxUnavailable=2,
        airGap=str(releases),
        registries={"mirrors": {"docker.io": {"endpoints": [f"https://{MIRROR}"]}}},
        proxy={"https": "http://lab@proxy.example.org:3128", "noProxy": [".example.net"]},
        snapshots={"schedule": "0 */6 * * *", "s3": {"endpoint": "s3.example.org", "bucket": "k3s"}},
    )
    del config["k3s"]["mirror"]
    with stage("told", tmp_path_factory.mktemp("told"), config, SECRETS) as one:
        fill(releases, one.tools.releases)
        yield one


@pytest.fixture(scope="module")
def booted(told: Stage) -> Booted:
    booted = told.machines_up()
    told.up(CLUSTER_ONLY)
    return booted


def starts(told: Stage, booted: Booted) -> dict[str, str]:
    """By machine: which start of k3s is running."""
    show = "systemctl show --property InvocationID --value 'k3s*'"
    return {name: told.on(machine, show) for name, machine in booted.items()}


def restarted(told: Stage, booted: Booted) -> set[str]:
    """What an `up` restarts."""
    before = starts(told, booted)
    told.up(CLUSTER_ONLY)
    after = starts(told, booted)
    return {name for name in before if after[name] != before[name]}


def test_what_is_said_lies_in_files_that_root_alone_reads(told: Stage, booted: Booted):
    for name, machine in booted.items():
        env = f"/etc/systemd/system/{'k3s' if name in SERVERS else 'k3s-agent'}.service.env"
        modes = told.on(machine, f"stat -c '%a %U' {env} /etc/rancher/k3s/*.yaml")
        assert set(modes.splitlines()) == {"600 root"}, modes
        registries = told.on(machine, "cat /etc/rancher/k3s/registries.yaml")
        assert f"https://{MIRROR}" in registries and PASSWORD["registry"] in registries
        environment = told.on(machine, f"cat {env}")
        assert f"HTTPS_PROXY=http://lab:{PASSWORD['proxy']}@proxy.example.org:3128\n" in environment
        for direct in ("10.42.0.0/16", "10.43.0.0/16", "10.77.0.0/24", ".example.net"):
            assert direct in environment
        config = told.on(machine, "cat /etc/rancher/k3s/config.yaml")
        for line in ("etcd-s3-bucket: k3s", f"etcd-s3-secret-key: {PASSWORD['bucket']}"):
            assert (line in config) == (name in SERVERS)
        assert ("- max-pods=120" in config) == (name in AGENTS)
        # What k3s itself saw of it when it started.
        assert MIRROR in told.on(
            machine, "cat /var/lib/rancher/k3s/agent/etc/containerd/certs.d/*/hosts.toml"
        )
    process = told.on(booted["gpu-1"], "tr '\\0' '\\n' </proc/$(systemctl show -P MainPID k3s-agent)/environ")
    assert PASSWORD["proxy"] in process
    pods = {n["metadata"]["name"]: n["status"]["capacity"]["pods"] for n in told.get("nodes")["items"]}
    assert {pods[name] for name in AGENTS} == {"120"} and "120" not in {pods[name] for name in SERVERS}


def test_the_release_came_from_this_computer_and_k3s_imports_its_images(told: Stage, booted: Booted):
    for name, machine in booted.items():
        place = f"/usr/local/lib/k3s-gpu-sharing/release/{VERSION}"
        there = told.on(machine, f"ls {place}; stat -c '%a %U' {place}/*").splitlines()
        assert len([line for line in there if line.startswith(("k3s", "sha256sum"))]) == 3, there
        assert "install.sh" in there and set(there[4:]) == {"600 root"}
        unit = "k3s" if name in SERVERS else "k3s-agent"
        assert "Importing images from /var/lib/rancher/k3s/agent/images/k3s-airgap-images-" in told.on(
            machine, f"journalctl --unit {unit} --no-pager --output cat"
        )


def test_a_key_of_servers_restarts_them_one_at_a_time_and_nothing_else_restarts_any(
    told: Stage, booted: Booted
):
    told.config["k3s"]["snapshots"]["retention"] = 9
    told.config["k3s"]["generation"] = 1  # every converge runs again
    begin = len(told.said)
    assert restarted(told, booted) == SERVERS.keys()
    assert in_order(told.said[begin:])[:3] == ["server-1", "server-2", "server-3"]
    said = "\n".join(told.said[begin:])
    assert all(f"{name}: {VERSION}: has it all" in said for name in booted), "each was asked what it lacks"


def test_one_hosts_kubelet_restarts_alone(told: Stage, booted: Booted):
    host = {"address": AGENTS["gpu-2"], "kubeletArgs": {"max-pods": 130}}
    told.config["pools"]["rtx"]["hosts"]["gpu-2"] = host
    assert restarted(told, booted) == {"gpu-2"}


def test_registries_and_proxy_restart_every_node_and_leave_with_their_keys(told: Stage, booted: Booted):
    del told.config["k3s"]["proxy"], told.config["k3s"]["registries"]
    SECRETS.clear()  # the stage's own
    del told.config["k3s"]["snapshots"]["s3"]
    assert restarted(told, booted) == booted.keys()


def test_what_a_cluster_began_with_is_refused_a_change(told: Stage, booted: Booted):
    before = starts(told, booted)
    for key, value, words in (
        ("secretsEncryption", False, "k3s secrets-encrypt disable"),
        ("flannelBackend", "host-gw", "another flannel-backend takes a new cluster"),
        ("serviceCidr", "10.99.0.0/16", "service-cidr cannot change once a cluster has begun"),
    ):
        told.config["k3s"][key] = value
        assert words in told.refused(lambda: told.up(CLUSTER_ONLY))
        del told.config["k3s"][key]
    assert starts(told, booted) == before


def test_no_secret_lies_open(told: Stage, booted: Booted):
    sought = [leaks.Sought.of(name, value) for name, value in PASSWORD.items()]
    said = "\n".join([*told.said, *told.events])
    found = leaks.held(said.encode(), sought, "what the engine said")
    found += leaks.in_files(told.site.state, sought, "this computer", (), but="machines")
    for machine in booted.values():
        found += leaks.on_machine(machine, sought)
    assert not found


def test_a_destroy_needs_no_release_and_leaves_nothing_of_it(told: Stage, booted: Booted, releases: Path):
    shutil.rmtree(releases / VERSION)
    assert f"{releases / VERSION}/install.sh: No such file" in told.refused(told.preview)
    told.destroy()
    for machine in booted.values():
        assert told.on(machine, f"ls -d {OURS} 2>/dev/null || :") == ""
