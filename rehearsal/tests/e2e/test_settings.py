"""Settings of the `k3s` section on machines: each test continues where the last one ended."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.faults import leaks
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture
from rehearsal.lab.machine_records import RunningMachine
from rehearsal.lab.objects import k3s_starts
from rehearsal.tests.e2e.test_topology import converge_order

SERVERS = {f"server-{n}": f"10.77.0.{39 + n}" for n in (1, 2, 3)}
AGENTS = {"gpu-1": "10.77.0.43", "gpu-2": "10.77.0.44"}
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

Machines = dict[str, RunningMachine]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on this computer that no machine can reach."""
    return tmp_path_factory.mktemp("releases")


def fill(releases: Path, standins: Path) -> None:
    """Copies the stand-in's release there, and adds an archive of images like in k3s's releases."""
    shutil.copytree(standins / VERSION, releases / VERSION)
    for sums in (releases / VERSION).glob("sha256sum-*.txt"):
        archive = sums.with_name(f"k3s-airgap-images-{sums.stem.split('-')[1]}.tar.zst")
        archive.write_text("images")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        sums.write_text(f"{sums.read_text()}{digest}  {archive.name}\n")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> Iterator[StackFixture]:
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
    with stack_fixture("settings", tmp_path_factory.mktemp("settings"), config, SECRETS) as one:
        fill(releases, one.tools.releases)
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> Machines:
    machines = cluster.start_machines()
    cluster.up_k3s_only()
    return machines


def restarted(cluster: StackFixture, machines: Machines) -> set[str]:
    """The machines whose k3s an `up` restarts."""
    before = k3s_starts(cluster, machines)
    cluster.up_k3s_only()
    after = k3s_starts(cluster, machines)
    return {name for name in before if after[name] != before[name]}


def test_settings_are_in_files_that_only_root_can_read(cluster: StackFixture, machines: Machines):
    for name, machine in machines.items():
        env = f"/etc/systemd/system/{'k3s' if name in SERVERS else 'k3s-agent'}.service.env"
        modes = cluster.run_on(machine, f"stat -c '%a %U' {env} /etc/rancher/k3s/*.yaml")
        assert set(modes.splitlines()) == {"600 root"}, modes
        registries = cluster.run_on(machine, "cat /etc/rancher/k3s/registries.yaml")
        assert f"https://{MIRROR}" in registries and PASSWORD["registry"] in registries
        environment = cluster.run_on(machine, f"cat {env}")
        assert f"HTTPS_PROXY=http://lab:{PASSWORD['proxy']}@proxy.example.org:3128\n" in environment
        for direct in ("10.42.0.0/16", "10.43.0.0/16", "10.77.0.0/24", ".example.net"):
            assert direct in environment
        config = cluster.run_on(machine, "cat /etc/rancher/k3s/config.yaml")
        for line in ("etcd-s3-bucket: k3s", f"etcd-s3-secret-key: {PASSWORD['bucket']}"):
            assert (line in config) == (name in SERVERS)
        assert ("- max-pods=120" in config) == (name in AGENTS)
        # What k3s itself saw of it when it started.
        assert MIRROR in cluster.run_on(
            machine, "cat /var/lib/rancher/k3s/agent/etc/containerd/certs.d/*/hosts.toml"
        )
    process = cluster.run_on(
        machines["gpu-1"], "tr '\\0' '\\n' </proc/$(systemctl show -P MainPID k3s-agent)/environ"
    )
    assert PASSWORD["proxy"] in process
    pods = {n["metadata"]["name"]: n["status"]["capacity"]["pods"] for n in cluster.get("nodes")["items"]}
    assert {pods[name] for name in AGENTS} == {"120"} and "120" not in {pods[name] for name in SERVERS}


def test_the_release_is_uploaded_and_its_images_imported(cluster: StackFixture, machines: Machines):
    for name, machine in machines.items():
        place = f"/usr/local/lib/k3s-gpu-sharing/release/{VERSION}"
        left = cluster.run_on(machine, f"ls {place}; stat -c '%a %U' {place}/*").splitlines()
        assert left == ["source", "600 root"], "the files are gone once k3s is installed"
        unit = "k3s" if name in SERVERS else "k3s-agent"
        assert "Importing images from /var/lib/rancher/k3s/agent/images/k3s-airgap-images-" in cluster.run_on(
            machine, f"journalctl --unit {unit} --no-pager --output cat"
        )


def test_a_server_setting_restarts_servers_only_one_at_a_time(cluster: StackFixture, machines: Machines):
    cluster.config["k3s"]["snapshots"]["retention"] = 9
    cluster.config["k3s"]["generation"] = 1  # every converge runs again
    begin = len(cluster.output)
    assert restarted(cluster, machines) == SERVERS.keys()
    assert converge_order(cluster.output[begin:])[:3] == ["server-1", "server-2", "server-3"]
    said = "\n".join(cluster.output[begin:])
    assert f"{', '.join(sorted(machines))}: no new script; k3s {VERSION} is installed" in said, (
        "all were asked"
    )


def test_a_setting_of_one_host_restarts_that_host_only(cluster: StackFixture, machines: Machines):
    host = {"address": AGENTS["gpu-2"], "kubeletArgs": {"max-pods": 130}}
    cluster.config["pools"]["rtx"]["hosts"]["gpu-2"] = host
    assert restarted(cluster, machines) == {"gpu-2"}


def test_removed_registries_and_proxy_restart_every_node(cluster: StackFixture, machines: Machines):
    del cluster.config["k3s"]["proxy"], cluster.config["k3s"]["registries"]
    SECRETS.clear()  # the fixture uses this dict
    del cluster.config["k3s"]["snapshots"]["s3"]
    assert restarted(cluster, machines) == machines.keys()


def test_settings_that_need_a_new_cluster_are_refused(cluster: StackFixture, machines: Machines):
    before = k3s_starts(cluster, machines)
    for key, value, words in (
        ("secretsEncryption", False, "k3s secrets-encrypt disable"),
        ("flannelBackend", "host-gw", "another flannel-backend needs a new cluster"),
        ("serviceCidr", "10.99.0.0/16", "service-cidr cannot change once a cluster exists"),
    ):
        cluster.config["k3s"][key] = value
        assert words in cluster.expect_failure(cluster.up_k3s_only)
        del cluster.config["k3s"][key]
    assert k3s_starts(cluster, machines) == before


def test_no_secret_is_exposed(cluster: StackFixture, machines: Machines):
    sought = [leaks.Secret.of(name, value) for name, value in PASSWORD.items()]
    said = "\n".join([*cluster.output, *cluster.events])
    found = leaks.leaks_in(said.encode(), sought, "what the engine said")
    found += leaks.leaks_in_files(cluster.stack.state, sought, "this computer", (), skip="machines")
    for machine in machines.values():
        found += leaks.leaks_on_machine(machine, sought)
    assert not found


def test_destroy_needs_no_release_and_leaves_nothing_of_it(
    cluster: StackFixture, machines: Machines, releases: Path
):
    shutil.rmtree(releases / VERSION)
    assert f"{releases / VERSION}/install.sh: No such file" in cluster.expect_failure(cluster.preview)
    cluster.destroy()
    for machine in machines.values():
        assert cluster.run_on(machine, f"ls -d {OURS} 2>/dev/null || :") == ""
