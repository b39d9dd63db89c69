"""Between this computer and a machine: network, host keys, logins, connections that break."""

import re
import secrets
import socket
import subprocess
from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.fault import AGENT, SERVER, Life, fault

AREA = "reaching"
NOBODY = "10.77.0.219"
LOGGED_IN = "/etc/ssh/sshrc"  # what sshd runs at every login, before what was asked for


def own_key(life: Life, host: str) -> str:
    """A machine's host key, as known_hosts and stack files have it."""
    return " ".join(life.on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])


def address(life: Life, host: str) -> str:
    return life[host].address


@fault(
    AREA,
    "preview",
    r"gpu-1",
    r"no host key for 10\.77\.0\.212 port 22",
    r"ssh-keyscan -p 22 -t ed25519 10\.77\.0\.212 >>",
    within=30,
    healed="the line is put in again",
)
def host_key_missing(life: Life) -> Iterator[None]:
    """known_hosts has no line for a machine"""
    known = life.stage.site.state / "known_hosts"
    lines = known.read_text()
    known.write_text(re.sub(rf"(?m)^{re.escape(address(life, AGENT))} .*\n", "", lines))
    yield
    known.write_text(lines)


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: host-key\n\s*found: +10\.77\.0\.212 shows SHA256:",
    r"compare on the machine's console first",
    r"ssh-keygen -R '10\.77\.0\.212'",
    within=60,
    healed="known_hosts gets the new key",
)
def host_key_changed(life: Life) -> Iterator[None]:
    """a machine has another host key than at the last `up`"""
    known = life.stage.site.state / "known_hosts"
    life.on(
        AGENT,
        "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
        "systemctl restart ssh",
    )
    yield
    line = f"{address(life, AGENT)} {own_key(life, AGENT)}"
    known.write_text(re.sub(rf"(?m)^{re.escape(address(life, AGENT))} .*$", line, known.read_text()))


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: host-key\n\s*found: +10\.77\.0\.212 shows SHA256:",
    r'hostKey: "ssh-ed25519 ',
    within=60,
    healed="the stack file gets the right key",
)
def host_key_wrong(life: Life) -> Iterator[None]:
    """the stack file has another machine's host key"""
    hosts = life.config["pools"]["rtx"]["hosts"]
    hosts[AGENT] = {"address": address(life, AGENT), "hostKey": own_key(life, SERVER)}
    yield
    hosts[AGENT] = {"address": address(life, AGENT), "hostKey": own_key(life, AGENT)}


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: login\n\s*found: +root@10\.77\.0\.212: Permission denied",
    r"ssh-copy-id -i \S+id_ed25519\.pub root@10\.77\.0\.212",
    within=60,
    healed="the key is put in again",
)
def key_without_rights(life: Life) -> Iterator[None]:
    """a machine does not know our key"""
    life.on(AGENT, "mv /root/.ssh/authorized_keys /root/.ssh/kept")
    yield
    life.on(AGENT, "mv /root/.ssh/kept /root/.ssh/authorized_keys")


def with_ops(life: Life) -> None:
    """The agent is reached as `ops`, who is not root."""
    life.on(
        AGENT,
        "id ops >/dev/null 2>&1 || useradd --create-home --shell /bin/sh ops; "
        "install -d -o ops -m 700 /home/ops/.ssh; "
        "install -o ops -m 600 /root/.ssh/authorized_keys /home/ops/.ssh/authorized_keys",
    )
    life.config["pools"]["rtx"]["user"] = "ops"


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: privileges\n\s*found: +ops is not root, and sudo wants a password or refuses",
    r"pulumi config set --secret sudoPassword",
    r"NOPASSWD: ALL",
    within=60,
    healed="sudo lets the login in without a password",
)
def sudo_refused(life: Life) -> Iterator[None]:
    """the login is not root, and sudo does not know it"""
    with_ops(life)
    yield
    inject.put(life[AGENT], "/etc/sudoers.d/ops", "ops ALL=(ALL) NOPASSWD: ALL\n", "440")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: privileges\n\s*found: +ops is not root, and sudo refused the secret sudoPassword",
    r"pulumi config set --secret sudoPassword",
    within=60,
    healed="the secret gets the right password",
)
def password_wrong(life: Life) -> Iterator[None]:
    """sudo asks for a password, and the stack has another"""
    right = secrets.token_urlsafe(16)
    with_ops(life)
    life.on(AGENT, "rm -f /etc/sudoers.d/ops; usermod --append --groups sudo ops")
    inject.inside(life[AGENT], "chpasswd", stdin=f"ops:{right}\n")
    life.secrets["sudoPassword"] = secrets.token_urlsafe(16)
    yield
    life.secrets["sudoPassword"] = right


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: reach\n\s*found: +10\.77\.0\.212 port 22: connection refused",
    r"is sshd running there, on that port\? systemctl status ssh",
    within=60,
    healed="sshd is started",
)
def sshd_stopped(life: Life) -> Iterator[None]:
    """nothing listens on a machine's SSH port"""
    life.on(AGENT, "systemctl stop ssh")
    yield
    life.on(AGENT, "systemctl start ssh")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: reach\n\s*found: +10\.77\.0\.212 port 22: timed out \(no answer on the network",
    r"ssh root@10\.77\.0\.212 -v shows how far it gets",
    within=90,
    healed="the firewall lets SSH through",
)
def black_hole(life: Life) -> Iterator[None]:
    """a firewall drops what comes to a machine's SSH port"""
    inject.filter_port(life[AGENT], 22, "DROP")
    yield
    inject.no_filter(life[AGENT])


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: reach\n\s*found: +10\.77\.0\.212 port 22: no usable SSH server",
    r"if it is `Exceeded MaxStartups`, too many log in at once: raise it in its sshd_config",
    within=60,
    healed="the others have logged in or gone",
)
def too_many_logins(life: Life) -> Iterator[None]:
    """so many are about to log in on a machine that its sshd turns others away"""
    limit = "/etc/ssh/sshd_config.d/fault.conf"
    inject.put(life[AGENT], limit, "MaxStartups 1\n", "644")
    life.on(AGENT, "systemctl restart ssh")
    with socket.create_connection((address(life, AGENT), 22)):
        yield
    life.on(AGENT, f"rm {limit}; systemctl restart ssh")


@fault(
    AREA,
    "change",
    within=150,
    healed="it is waited for",
    refused=False,
)
def slow(life: Life) -> Iterator[None]:
    """every login on a machine takes three seconds"""
    inject.put(life[AGENT], LOGGED_IN, "sleep 3\n", "644")
    yield
    life.on(AGENT, f"rm {LOGGED_IN}")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: facts\n\s*found: +logged in, but the questions were not answered",
    r'ssh root@10\.77\.0\.212 "id; uptime" must answer at once',
    within=120,
    healed="what held it up is taken away",
)
def never_answers(life: Life) -> Iterator[None]:
    """a machine takes logins and never runs what is asked of it"""
    inject.put(life[AGENT], LOGGED_IN, "sleep infinity\n", "644")
    yield
    life.on(AGENT, f"rm {LOGGED_IN}; {inject.CUT_LOGINS}")


@fault(
    AREA,
    "first up",
    r"error: host-key|error: reach",
    r"gpu-1 .*\n.*10\.77\.0\.219.*no route",
    r"server-1 .*\n.*error: login\n\s*found: +root@10\.77\.0\.211",
    within=60,
    healed="the stack file is corrected; nothing had been touched",
)
def several_at_once(life: Life) -> Iterator[None]:
    """nobody at one machine's address, and a key that another does not know: one report"""
    pools = life.config["pools"]
    other = life.stage.site.folder / "other-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    pools["rtx"]["hosts"][AGENT] = {"address": NOBODY, "hostKey": own_key(life, AGENT)}
    pools["control"]["hosts"][SERVER] = {"address": address(life, SERVER), "privateKeyFile": str(other)}
    yield
    for host in (SERVER, AGENT):
        assert not inject.exists(life[host], "/etc/k3s-gpu-sharing"), f"{host} was touched"
    pools["rtx"]["hosts"][AGENT] = address(life, AGENT)
    pools["control"]["hosts"][SERVER] = address(life, SERVER)
