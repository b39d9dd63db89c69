"""Makes a problem of a connection that failed: which step failed, and what helps.

Each function here is one check of the doctor, listed in `doctor.registry`.
"""

from collections.abc import Callable
from dataclasses import replace

import asyncssh

from k3sgpu.foreign_text import escape
from k3sgpu.handoff.inventory import SshTarget
from k3sgpu.hosts.ssh import Failure
from k3sgpu.hosts.ssh_command import ssh_command
from k3sgpu.problem import Problem

MAX_KEY = 4096
"""Characters of a host key that a remedy shows; one of RSA with 16384 bits has 2,800."""


def connection_problem(target: SshTarget, failure: Failure, public_key: str) -> Problem:
    """The problem of a target that could not be reached or asked.

    `public_key` is the public half of the key that the target must accept, "" for an SSH agent's.
    """
    check, make = _BY_KIND.get(failure.kind, ("connection", connection))
    shown = replace(failure, detail=escape(failure.detail), found_key=escape(failure.found_key, MAX_KEY))
    return Problem(target["name"], *make(target, shown, public_key), check=check)


Texts = tuple[str, str, str]
"""Found, expected, remedy."""


def connection(target: SshTarget, failure: Failure, public_key: str) -> Texts:
    """An SSH server answers at the host's address and port."""
    found, remedy = {
        "name": ("the name is unknown", "correct the address in the stack file, or the name server"),
        "refused": ("connection refused", "is sshd running there, on that port? systemctl status ssh"),
        "unreachable": ("unreachable", "is the machine on, and the address right? ping it"),
        "timeout": ("timed out", f"{ssh_command(target)} -v shows how far it gets"),
        "forwarding": (
            "the bastion refused the connection",
            "let the bastion's sshd forward: AllowTcpForwarding yes, and no `restrict` before our key",
        ),
        "not-ssh": (
            "no usable SSH server",
            (
                f"{ssh_command(target)} -v shows what answers there\n"
                "if it is `Exceeded MaxStartups`, too many log in at once: raise it in its sshd_config"
            ),
        ),
    }[failure.kind]
    where = f"{target['address']} port {target['port']}"
    return f"{where}: {found} ({failure.detail})", "an SSH server that answers", remedy


def host_key(target: SshTarget, failure: Failure, public_key: str) -> Texts:
    """The host shows the host key that the stack file or known_hosts has for it."""
    expected = asyncssh.import_public_key(target["hostKey"]).get_fingerprint()
    kind = failure.found_key.split()[0]
    kind = "ecdsa" if kind.startswith("ecdsa") else kind.removeprefix("ssh-")
    address, port, file = target["address"], target["port"], target["knownHostsFile"]
    scan = f"ssh-keyscan -p {port} -t {kind} {address}"
    if jump := target.get("jump"):
        scan = f"ssh ssh://{jump} {scan}"
    if file:
        entry = address if port == 22 else f"[{address}]:{port}"
        change = f"ssh-keygen -R '{entry}' -f {file}; {scan} >> {file}"
    else:
        change = f'hostKey: "{failure.found_key}"  for {target["name"]} in the stack file'
    return (
        f"{address} shows {failure.detail}",
        f"{expected}, from {file or 'hostKey in the stack file'}",
        (
            "somebody may be in between: compare on the machine's console first\n"
            f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub\n"
            f"only if it shows the same (the machine was installed anew):\n{change}"
        ),
    )


def login(target: SshTarget, failure: Failure, public_key: str) -> Texts:
    """The host accepts our key for the user of the stack file."""
    port = "" if target["port"] == 22 else f"-p {target['port']} "
    jump = f"-o ProxyJump={jump} " if (jump := target.get("jump")) else ""
    user = f"{target['user']}@{target['address']}"
    if file := target["privateKeyFile"]:
        remedy = f"ssh-copy-id -i {file}.pub {jump}{port}{user}"
    elif not public_key:
        remedy = f"ssh-add -l must list a key that {user} accepts, among the first few (MaxAuthTries)"
    else:
        remedy = f"put this line into ~{target['user']}/.ssh/authorized_keys there:\n{public_key}"
    if target["user"] == "root":
        remedy += "\n(sshd must allow root by key: PermitRootLogin prohibit-password)"
    return f"{user}: {failure.detail}", f"our key accepted for {target['user']}", remedy


def facts(target: SshTarget, failure: Failure, public_key: str) -> Texts:
    """The login runs commands, and facts.sh comes to its end in time."""
    return (
        f"logged in, but facts.sh did not run as it should: {failure.detail}",
        "a shell that runs commands, and a machine that is not overloaded",
        f'{ssh_command(target)} "id; uptime" must answer at once, without a question or a menu',
    )


_BY_KIND: dict[str, tuple[str, Callable[[SshTarget, Failure, str], Texts]]] = {
    "host-key": ("host-key", host_key),
    "login": ("login", login),
    "facts": ("facts", facts),
}
