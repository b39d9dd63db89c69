"""Faults between this computer and a machine: network, host keys, logins, sudo."""

import re
import secrets
import socket
import subprocess
from collections.abc import Iterator

from rehearsal.faults import inject
from rehearsal.faults.context import AGENT, SERVER, FaultContext
from rehearsal.faults.fault import fault, host_problem

AREA = "ssh"
UNUSED_ADDRESS = "10.77.0.219"
SSHRC = "/etc/ssh/sshrc"  # sshd runs it at every login, before the requested command


def own_key(context: FaultContext, host: str) -> str:
    """A machine's public host key in the form of known_hosts and stack files."""
    return " ".join(context.run_on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])


def address(context: FaultContext, host: str) -> str:
    """A machine's address."""
    return context[host].address


@fault(
    AREA,
    "preview",
    r"gpu-1",
    r"no host key for 10\.77\.0\.212 port 22",
    r"ssh-keyscan -p 22 -t ed25519 10\.77\.0\.212 >>",
    max_seconds=30,
    remedy="the line is restored",
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
    host_problem("gpu-1", "host-key", r"10\.77\.0\.212 shows SHA256:"),
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
    host_problem("gpu-1", "host-key", r"10\.77\.0\.212 shows SHA256:"),
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
    host_problem("gpu-1", "login", r"root@10\.77\.0\.212: Permission denied"),
    r"ssh-copy-id -i \S+id_ed25519\.pub root@10\.77\.0\.212",
    max_seconds=60,
    remedy="the key is authorized again",
)
def key_not_authorized(context: FaultContext) -> Iterator[None]:
    """a machine does not accept our key"""
    context.run_on(AGENT, "mv /root/.ssh/authorized_keys /root/.ssh/kept")
    yield
    context.run_on(AGENT, "mv /root/.ssh/kept /root/.ssh/authorized_keys")


def use_login_ops(context: FaultContext) -> None:
    """Logs in on the agent as `ops`, who is not root."""
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
    host_problem("gpu-1", "privileges", r"ops is not root, and sudo wants a password or refuses"),
    r"pulumi config set --secret sudoPassword",
    r"NOPASSWD: ALL",
    max_seconds=60,
    remedy="sudoers allows the login without a password",
)
def sudo_refused(context: FaultContext) -> Iterator[None]:
    """the login is not root, and sudo does not allow it"""
    use_login_ops(context)
    yield
    inject.put(context[AGENT], "/etc/sudoers.d/ops", "ops ALL=(ALL) NOPASSWD: ALL\n", "440")


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "privileges", r"ops is not root, and sudo refused the secret sudoPassword"),
    r"pulumi config set --secret sudoPassword",
    max_seconds=60,
    remedy="the secret sudoPassword is corrected",
)
def password_wrong(context: FaultContext) -> Iterator[None]:
    """sudo asks for a password, and the stack's secret is a wrong one"""
    right = secrets.token_urlsafe(16)
    use_login_ops(context)
    context.run_on(AGENT, "rm -f /etc/sudoers.d/ops; usermod --append --groups sudo ops")
    inject.inside(context[AGENT], "chpasswd", stdin=f"ops:{right}\n")
    context.secrets["sudoPassword"] = secrets.token_urlsafe(16)
    yield
    context.secrets["sudoPassword"] = right


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "connection", r"10\.77\.0\.212 port 22: connection refused"),
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
    host_problem("gpu-1", "connection", r"10\.77\.0\.212 port 22: timed out \(no answer on the network"),
    r"ssh root@10\.77\.0\.212 -v shows how far it gets",
    max_seconds=90,
    remedy="the firewall allows SSH",
)
def ssh_packets_dropped(context: FaultContext) -> Iterator[None]:
    """a firewall drops packets to a machine's SSH port"""
    inject.filter_port(context[AGENT], 22, "DROP")
    yield
    inject.remove_filters(context[AGENT])


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "connection", r"10\.77\.0\.212 port 22: no usable SSH server"),
    r"if it is `Exceeded MaxStartups`, too many log in at once: raise it in its sshd_config",
    max_seconds=60,
    remedy="the other logins end",
)
def too_many_logins(context: FaultContext) -> Iterator[None]:
    """so many logins are in progress on a machine that its sshd refuses more"""
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
    remedy="the run waits for it",
    fails=False,
)
def slow_logins(context: FaultContext) -> Iterator[None]:
    """every login on a machine takes three seconds"""
    inject.put(context[AGENT], SSHRC, "sleep 3\n", "644")
    yield
    context.run_on(AGENT, f"rm {SSHRC}")


@fault(
    AREA,
    "change",
    host_problem("gpu-1", "facts", r"logged in, but facts.sh did not run as it should"),
    r'ssh root@10\.77\.0\.212 "id; uptime" must answer at once',
    max_seconds=120,
    remedy="what blocked it is removed",
)
def commands_hang(context: FaultContext) -> Iterator[None]:
    """a machine accepts logins and never runs a command"""
    inject.put(context[AGENT], SSHRC, "sleep infinity\n", "644")
    yield
    context.run_on(AGENT, f"rm {SSHRC}; {inject.CUT_LOGINS}")


@fault(
    AREA,
    "first up",
    host_problem("gpu-1", "connection", r"10\.77\.0\.219 port 22: .*No route"),
    host_problem("server-1", "login", r"root@10\.77\.0\.211"),
    max_seconds=60,
    remedy="the stack file is corrected; no machine was changed",
)
def several_at_once(context: FaultContext) -> Iterator[None]:
    """no machine at one address, and a key that another machine does not accept: one report"""
    pools = context.config["pools"]
    other = context.cluster.stack.folder / "other-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    pools["rtx"]["hosts"][AGENT] = {"address": UNUSED_ADDRESS, "hostKey": own_key(context, AGENT)}
    pools["control"]["hosts"][SERVER] = {"address": address(context, SERVER), "privateKeyFile": str(other)}
    yield
    for host in (SERVER, AGENT):
        assert not inject.exists(context[host], "/etc/k3s-gpu-sharing"), f"{host} was changed"
    pools["rtx"]["hosts"][AGENT] = address(context, AGENT)
    pools["control"]["hosts"][SERVER] = address(context, SERVER)
