"""Logins: sudo with a password, a bastion, missing, wrong and changed host keys, and a dead host."""

import re
from collections.abc import Iterator

import pytest

from rehearsal.lab import ssh
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture
from rehearsal.lab.machine_records import RunningMachine

SERVER, AGENT = "server-1", "gpu-1"
PASSWORD = "open sesame $HOME"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("dev")
    config["workloads"] = {}
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.151"}
    config["pools"]["rtx"].update(user="ops", hosts={AGENT: "10.77.0.161"})
    config["ssh"] = {"bastion": {"address": "10.77.0.151"}}
    secrets = {"sudoPassword": PASSWORD}
    with stack_fixture("logins", tmp_path_factory.mktemp("logins"), config, secrets) as one:
        yield one


@pytest.fixture(scope="module")
def machines(cluster: StackFixture) -> dict[str, RunningMachine]:
    """The server, and an agent where the user `ops` may use sudo with a password."""
    machines = cluster.start_machines()
    make = (
        "useradd --create-home --groups sudo --shell /bin/sh ops && chpasswd && "
        "install -d -o ops -m 700 /home/ops/.ssh && "
        "install -o ops -m 600 /root/.ssh/authorized_keys /home/ops/.ssh/authorized_keys"
    )
    ssh.run(machines[AGENT], make, stdin=f"ops:{PASSWORD}\n")
    return machines


def test_wrong_host_keys_and_passwords_are_reported_before_any_change(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    known = cluster.stack.state / "known_hosts"
    lines = known.read_text()
    agent = cluster.config["pools"]["rtx"]["hosts"]
    (own,) = re.findall(r"10\.77\.0\.161 (ssh-ed25519 \S+)", lines)
    (servers,) = re.findall(r"10\.77\.0\.151 (ssh-ed25519 \S+)", lines)
    try:
        known.write_text(lines.replace(f"10.77.0.161 {own}", ""))
        said = cluster.expect_failure(cluster.preview)
        assert "no host key for 10.77.0.161 port 22" in said
        assert "ssh ssh://root@10.77.0.151:22 ssh-keyscan -p 22 -t ed25519 10.77.0.161 >>" in said
    finally:
        known.write_text(lines)
    agent[AGENT] = {"address": "10.77.0.161", "hostKey": servers}
    said = cluster.expect_failure(cluster.up)
    assert "found:    10.77.0.161 shows SHA256:" in said and f'hostKey: "{own}' in said
    agent[AGENT] = {"address": "10.77.0.161"}
    ssh.run(machines[AGENT], "chpasswd", stdin="ops:another\n")
    said = cluster.expect_failure(cluster.up)
    assert "found:    ops is not root, and sudo refused the secret sudoPassword" in said
    ssh.run(machines[AGENT], "chpasswd", stdin=f"ops:{PASSWORD}\n")
    for machine in machines.values():
        assert cluster.run_on(machine, "ls /etc/k3s-gpu-sharing 2>/dev/null || echo untouched") == "untouched"


def test_a_login_with_sudo_and_a_password_through_a_bastion(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    cluster.up()
    assert cluster.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(cluster.up()) == {"same"}
    journal = cluster.run_on(machines[AGENT], "journalctl --no-pager --output cat")
    logins = re.findall(r"Accepted publickey for ops from (\S+)", journal)
    assert set(logins) == {"10.77.0.151"}
    assert PASSWORD not in "\n".join(cluster.output) + journal + cluster.stack.engine(cluster.tools).state()
    token = cluster.run_on(machines[AGENT], "cat /etc/rancher/k3s/agent-token")
    assert token.startswith("K10") and PASSWORD not in token


def test_a_changed_host_key_stops_the_run(cluster: StackFixture, machines: dict[str, RunningMachine]):
    agent, known = machines[AGENT], cluster.stack.state / "known_hosts"
    start = cluster.run_on(agent, "systemctl show --property InvocationID --value k3s-agent")
    renew = (
        "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
        "cat /etc/ssh/ssh_host_ed25519_key.pub; systemctl restart ssh"
    )
    key = " ".join(cluster.run_on(agent, renew).split()[:2])
    cluster.config["k3s"]["generation"] = 1
    said = cluster.expect_failure(cluster.up)
    assert "found:    10.77.0.161 shows SHA256:" in said
    assert "ssh-keygen -R '10.77.0.161'" in said
    known.write_text(re.sub(r"(?m)^10\.77\.0\.161 .*$", f"10.77.0.161 {key}", known.read_text()))
    cluster.up()
    assert cluster.run_on(agent, "systemctl show --property InvocationID --value k3s-agent") == start


def test_a_dead_host_is_removed_without_a_connection(
    cluster: StackFixture, machines: dict[str, RunningMachine]
):
    hosts = cluster.config["pools"]["rtx"]["hosts"]
    # Whoever asked it would be refused, and would fail.
    cluster.run_on(machines[AGENT], "systemctl stop k3s-agent; systemctl stop ssh")
    hosts[AGENT] = {"address": "10.77.0.161", "gone": True}
    cluster.up()
    assert any("gpu-1 is marked gone: this run deletes its Node" in line for line in cluster.output)
    assert [node["metadata"]["name"] for node in cluster.get("nodes")["items"]] == [SERVER]
    del cluster.config["pools"]["rtx"]
    cluster.up()
    assert [node["metadata"]["name"] for node in cluster.get("nodes")["items"]] == [SERVER]
    assert not [name for name in cluster.resources() if AGENT in name]
