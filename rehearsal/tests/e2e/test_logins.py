"""How machines are reached: a login with sudo and a password, through a bastion, with host keys that are
missing, wrong and changed; and one that never answers again."""

import re
from collections.abc import Iterator

import pytest

from rehearsal.lab import machines
from rehearsal.lab.fixture import Stage, stack_config, stage

SERVER, AGENT = "server-1", "gpu-1"
PASSWORD = "open sesame $HOME"


@pytest.fixture(scope="module")
def reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    config = stack_config("dev")
    config["workloads"] = {}
    config["pools"]["control"]["hosts"] = {SERVER: "10.77.0.151"}
    config["pools"]["rtx"].update(user="ops", hosts={AGENT: "10.77.0.161"})
    config["ssh"] = {"bastion": {"address": "10.77.0.151"}}
    secrets = {"sudoPassword": PASSWORD}
    with stage("reach", tmp_path_factory.mktemp("reach"), config, secrets) as one:
        yield one


@pytest.fixture(scope="module")
def booted(reach: Stage) -> dict[str, machines.Booted]:
    """The server, and an agent whose `ops` may do everything, with a password."""
    booted = reach.machines_up()
    make = (
        "useradd --create-home --groups sudo --shell /bin/sh ops && chpasswd && "
        "install -d -o ops -m 700 /home/ops/.ssh && "
        "install -o ops -m 600 /root/.ssh/authorized_keys /home/ops/.ssh/authorized_keys"
    )
    machines.run(booted[AGENT], make, stdin=f"ops:{PASSWORD}\n")
    return booted


def test_host_keys_and_passwords_that_are_wrong_are_told_before_anything_is_touched(
    reach: Stage, booted: dict[str, machines.Booted]
):
    known = reach.site.state / "known_hosts"
    lines = known.read_text()
    agent = reach.config["pools"]["rtx"]["hosts"]
    (own,) = re.findall(r"10\.77\.0\.161 (ssh-ed25519 \S+)", lines)
    (servers,) = re.findall(r"10\.77\.0\.151 (ssh-ed25519 \S+)", lines)
    try:
        known.write_text(lines.replace(f"10.77.0.161 {own}", ""))
        said = reach.refused(reach.preview)
        assert "no host key for 10.77.0.161 port 22" in said
        assert "ssh ssh://root@10.77.0.151:22 ssh-keyscan -p 22 -t ed25519 10.77.0.161 >>" in said
    finally:
        known.write_text(lines)
    agent[AGENT] = {"address": "10.77.0.161", "hostKey": servers}
    said = reach.refused(reach.up)
    assert "found:    10.77.0.161 shows SHA256:" in said and f'hostKey: "{own}' in said
    agent[AGENT] = {"address": "10.77.0.161"}
    machines.run(booted[AGENT], "chpasswd", stdin="ops:another\n")
    said = reach.refused(reach.up)
    assert "found:    ops is not root, and sudo refused the secret sudoPassword" in said
    machines.run(booted[AGENT], "chpasswd", stdin=f"ops:{PASSWORD}\n")
    for machine in booted.values():
        assert reach.on(machine, "ls /etc/k3s-gpu-sharing 2>/dev/null || echo untouched") == "untouched"


def test_a_login_with_sudo_and_a_password_through_a_bastion(reach: Stage, booted: dict[str, machines.Booted]):
    reach.up()
    assert reach.get("node", AGENT)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(reach.up()) == {"same"}
    journal = reach.on(booted[AGENT], "journalctl --no-pager --output cat")
    logins = re.findall(r"Accepted publickey for ops from (\S+)", journal)
    assert set(logins) == {"10.77.0.151"}
    assert PASSWORD not in "\n".join(reach.said) + journal + reach.site.engine(reach.tools).state()
    token = reach.on(booted[AGENT], "cat /etc/rancher/k3s/agent-token")
    assert token.startswith("K10") and PASSWORD not in token


def test_a_host_key_that_changed_stops_the_run_until_the_file_says_so(
    reach: Stage, booted: dict[str, machines.Booted]
):
    agent, known = booted[AGENT], reach.site.state / "known_hosts"
    start = reach.on(agent, "systemctl show --property InvocationID --value k3s-agent")
    renew = (
        "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
        "cat /etc/ssh/ssh_host_ed25519_key.pub; systemctl restart ssh"
    )
    key = " ".join(reach.on(agent, renew).split()[:2])
    reach.config["k3s"]["generation"] = 1
    said = reach.refused(reach.up)
    assert "found:    10.77.0.161 shows SHA256:" in said
    assert "ssh-keygen -R '10.77.0.161'" in said
    known.write_text(re.sub(r"(?m)^10\.77\.0\.161 .*$", f"10.77.0.161 {key}", known.read_text()))
    reach.up()
    assert reach.on(agent, "systemctl show --property InvocationID --value k3s-agent") == start


def test_a_dead_host_leaves_without_being_asked(reach: Stage, booted: dict[str, machines.Booted]):
    hosts = reach.config["pools"]["rtx"]["hosts"]
    # Whoever asked it would be refused, and would fail.
    reach.on(booted[AGENT], "systemctl stop k3s-agent; systemctl stop ssh")
    hosts[AGENT] = {"address": "10.77.0.161", "gone": True}
    reach.up()
    assert any("gpu-1 is marked gone: this run deletes its Node" in line for line in reach.said)
    assert [node["metadata"]["name"] for node in reach.get("nodes")["items"]] == [SERVER]
    del reach.config["pools"]["rtx"]
    reach.up()
    assert [node["metadata"]["name"] for node in reach.get("nodes")["items"]] == [SERVER]
    assert not [name for name in reach.resources() if AGENT in name]
