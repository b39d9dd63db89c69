"""Between this computer and a machine: network, host keys, logins, connections that break."""

import re
import secrets
import socket
import subprocess
from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import AGENT, SERVER, FaultContext
from rehearsal.faults.fault import fault

AREA = "reaching"
NOBODY = "10.77.0.219"
LOGGED_IN = "/etc/ssh/sshrc"  # what sshd runs at every login, before what was asked for


def own_key(context: FaultContext, host: str) -> str:
    """A machine's host key, as known_hosts and stack files have it."""
    return " ".join(context.run_on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])


def address(context: FaultContext, host: str) -> str:
    return context[host].address


@fault(
    AREA,
    "preview",
    r"gpu-1",
    r"no host key for 10\.77\.0\.212 port 22",
    r"ssh-keyscan -p 22 -t ed25519 10\.77\.0\.212 >>",
    max_seconds=30,
    remedy="the line is put in again",
)
def host_key_missing(context: FaultContext) -> Iterator[None]:
    """known_hosts has no line for a machine"""
    known = context.cluster.stack.state / "known_hosts"
    lines = known.read_text()
    known.write_text(re.sub(rf"(?m)^{re.escape(address(context, AGENT))} .*\n", "", lines))
    yield
    known.write_text(lines)


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: host-key\n\s*found: +10\.77\.0\.212 shows SHA256:",
    r"compare on the machine's console first",
    r"ssh-keygen -R '10\.77\.0\.212'",
    max_seconds=60,
    remedy="known_hosts gets the new key",
)
def host_key_changed(context: FaultContext) -> Iterator[None]:
    """a machine has another host key than at the last `up`"""
    known = context.cluster.stack.state / "known_hosts"
    context.run_on(
        AGENT,
        "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; "
        "systemctl restart ssh",
    )
    yield
    line = f"{address(context, AGENT)} {own_key(context, AGENT)}"
    known.write_text(re.sub(rf"(?m)^{re.escape(address(context, AGENT))} .*$", line, known.read_text()))


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: host-key\n\s*found: +10\.77\.0\.212 shows SHA256:",
    r'hostKey: "ssh-ed25519 ',
    max_seconds=60,
    remedy="the stack file gets the right key",
)
def host_key_wrong(context: FaultContext) -> Iterator[None]:
    """the stack file has another machine's host key"""
    hosts = context.config["pools"]["rtx"]["hosts"]
    hosts[AGENT] = {"address": address(context, AGENT), "hostKey": own_key(context, SERVER)}
    yield
    hosts[AGENT] = {"address": address(context, AGENT), "hostKey": own_key(context, AGENT)}


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: login\n\s*found: +root@10\.77\.0\.212: Permission denied",
    r"ssh-copy-id -i \S+id_ed25519\.pub root@10\.77\.0\.212",
    max_seconds=60,
    remedy="the key is put in again",
)
def key_without_rights(context: FaultContext) -> Iterator[None]:
    """a machine does not know our key"""
    context.run_on(AGENT, "mv /root/.ssh/authorized_keys /root/.ssh/kept")
    yield
    context.run_on(AGENT, "mv /root/.ssh/kept /root/.ssh/authorized_keys")


def with_ops(context: FaultContext) -> None:
    """The agent is reached as `ops`, who is not root."""
    context.run_on(
        AGENT,
        "id ops >/dev/null 2>&1 || useradd --create-home --shell /bin/sh ops; "
        "install -d -o ops -m 700 /home/ops/.ssh; "
        "install -o ops -m 600 /root/.ssh/authorized_keys /home/ops/.ssh/authorized_keys",
    )
    context.config["pools"]["rtx"]["user"] = "ops"


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: privileges\n\s*found: +ops is not root, and sudo wants a password or refuses",
    r"pulumi config set --secret sudoPassword",
    r"NOPASSWD: ALL",
    max_seconds=60,
    remedy="sudo lets the login in without a password",
)
def sudo_refused(context: FaultContext) -> Iterator[None]:
    """the login is not root, and sudo does not know it"""
    with_ops(context)
    yield
    inject.put(context[AGENT], "/etc/sudoers.d/ops", "ops ALL=(ALL) NOPASSWD: ALL\n", "440")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: privileges\n\s*found: +ops is not root, and sudo refused the secret sudoPassword",
    r"pulumi config set --secret sudoPassword",
    max_seconds=60,
    remedy="the secret gets the right password",
)
def password_wrong(context: FaultContext) -> Iterator[None]:
    """sudo asks for a password, and the stack has another"""
    right = secrets.token_urlsafe(16)
    with_ops(context)
    context.run_on(AGENT, "rm -f /etc/sudoers.d/ops; usermod --append --groups sudo ops")
    inject.inside(context[AGENT], "chpasswd", stdin=f"ops:{right}\n")
    context.secrets["sudoPassword"] = secrets.token_urlsafe(16)
    yield
    context.secrets["sudoPassword"] = right


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: connection\n\s*found: +10\.77\.0\.212 port 22: connection refused",
    r"is sshd running there, on that port\? systemctl status ssh",
    max_seconds=60,
    remedy="sshd is started",
)
def sshd_stopped(context: FaultContext) -> Iterator[None]:
    """nothing listens on a machine's SSH port"""
    context.run_on(AGENT, "systemctl stop ssh")
    yield
    context.run_on(AGENT, "systemctl start ssh")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: connection\n\s*found: +10\.77\.0\.212 port 22: timed out \(no answer on the network",
    r"ssh root@10\.77\.0\.212 -v shows how far it gets",
    max_seconds=90,
    remedy="the firewall lets SSH through",
)
def black_hole(context: FaultContext) -> Iterator[None]:
    """a firewall drops what comes to a machine's SSH port"""
    inject.filter_port(context[AGENT], 22, "DROP")
    yield
    inject.no_filter(context[AGENT])


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: connection\n\s*found: +10\.77\.0\.212 port 22: no usable SSH server",
    r"if it is `Exceeded MaxStartups`, too many log in at once: raise it in its sshd_config",
    max_seconds=60,
    remedy="the others have logged in or gone",
)
def too_many_logins(context: FaultContext) -> Iterator[None]:
    """so many are about to log in on a machine that its sshd turns others away"""
    limit = "/etc/ssh/sshd_config.d/fault.conf"
    inject.put(context[AGENT], limit, "MaxStartups 1\n", "644")
    context.run_on(AGENT, "systemctl restart ssh")
    with socket.create_connection((address(context, AGENT), 22)):
        yield
    context.run_on(AGENT, f"rm {limit}; systemctl restart ssh")


@fault(
    AREA,
    "change",
    max_seconds=150,
    remedy="it is waited for",
    fails=False,
)
def slow(context: FaultContext) -> Iterator[None]:
    """every login on a machine takes three seconds"""
    inject.put(context[AGENT], LOGGED_IN, "sleep 3\n", "644")
    yield
    context.run_on(AGENT, f"rm {LOGGED_IN}")


@fault(
    AREA,
    "change",
    r"gpu-1 .*\n.*error: facts\n\s*found: +logged in, but the questions were not answered",
    r'ssh root@10\.77\.0\.212 "id; uptime" must answer at once',
    max_seconds=120,
    remedy="what held it up is taken away",
)
def never_answers(context: FaultContext) -> Iterator[None]:
    """a machine takes logins and never runs what is asked of it"""
    inject.put(context[AGENT], LOGGED_IN, "sleep infinity\n", "644")
    yield
    context.run_on(AGENT, f"rm {LOGGED_IN}; {inject.CUT_LOGINS}")


@fault(
    AREA,
    "first up",
    r"gpu-1 .*\n.*error: connection\n\s*found: +10\.77\.0\.219 port 22: not reachable \(No route",
    r"server-1 .*\n.*error: login\n\s*found: +root@10\.77\.0\.211",
    max_seconds=60,
    remedy="the stack file is corrected; nothing had been touched",
)
def several_at_once(context: FaultContext) -> Iterator[None]:
    """nobody at one machine's address, and a key that another does not know: one report"""
    pools = context.config["pools"]
    other = context.cluster.stack.folder / "other-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    pools["rtx"]["hosts"][AGENT] = {"address": NOBODY, "hostKey": own_key(context, AGENT)}
    pools["control"]["hosts"][SERVER] = {"address": address(context, SERVER), "privateKeyFile": str(other)}
    yield
    for host in (SERVER, AGENT):
        assert not inject.exists(context[host], "/etc/k3s-gpu-sharing"), f"{host} was touched"
    pools["rtx"]["hosts"][AGENT] = address(context, AGENT)
    pools["control"]["hosts"][SERVER] = address(context, SERVER)
