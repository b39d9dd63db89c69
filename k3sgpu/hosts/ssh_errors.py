"""What to say about a machine that could not be asked: which step failed, and the line that helps."""

from collections.abc import Mapping
from typing import Any

import asyncssh

from k3sgpu.hosts.ssh import Failure
from k3sgpu.hosts.ssh_command import ssh_command
from k3sgpu.problem import Problem


def connection_problem(spec: Mapping[str, Any], failure: Failure, public_key: str) -> Problem:
    """The finding for a failed look. `public_key` is the half of our key that the machine should know."""
    makers = {"host-key": _host_key, "login": lambda s, f: _login(s, f, public_key), "facts": _facts}
    return makers.get(failure.kind, _reach)(spec, failure)


def _reach(spec: Mapping[str, Any], failure: Failure) -> Problem:
    where = f"{spec['address']} port {spec['port']}"
    found, remedy = {
        "name": ("the name is not known", "correct the address in the stack file, or the name service"),
        "refused": ("connection refused", "is sshd running there, on that port? systemctl status ssh"),
        "unreachable": ("not reachable", "is the machine on, and the address right? ping it"),
        "timeout": ("timed out", f"{ssh_command(spec)} -v shows how far it gets"),
        "forwarding": (
            "no way there",
            "let the bastion's sshd forward: AllowTcpForwarding yes, and no `restrict` before our key",
        ),
        "not-ssh": (
            "no usable SSH server",
            (
                f"{ssh_command(spec)} -v shows what answers there\n"
                "if it is `Exceeded MaxStartups`, too many log in at once: raise it in its sshd_config"
            ),
        ),
    }[failure.kind]
    return Problem(
        spec["name"],
        f"{where}: {found} ({failure.detail})",
        "an SSH server that answers",
        remedy,
        check="connection",
    )


def _host_key(spec: Mapping[str, Any], failure: Failure) -> Problem:
    expected = asyncssh.import_public_key(spec["hostKey"]).get_fingerprint()
    kind = failure.found_key.split()[0]
    kind = "ecdsa" if kind.startswith("ecdsa") else kind.removeprefix("ssh-")
    address, port, file = spec["address"], spec["port"], spec.get("knownHostsFile")
    scan = f"ssh-keyscan -p {port} -t {kind} {address}"
    if spec.get("jump"):
        scan = f"ssh ssh://{spec['jump']} {scan}"
    if file:
        entry = address if port == 22 else f"[{address}]:{port}"
        change = f"ssh-keygen -R '{entry}' -f {file}; {scan} >> {file}"
    else:
        change = f'hostKey: "{failure.found_key}"  for {spec["name"]} in the stack file'
    return Problem(
        spec["name"],
        f"{address} shows {failure.detail}",
        f"{expected}, from {file or 'hostKey in the stack file'}",
        (
            "somebody may be in between: compare on the machine's console first\n"
            f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub\n"
            f"only if it shows the same (the machine was installed anew):\n{change}"
        ),
        check="host-key",
    )


def _login(spec: Mapping[str, Any], failure: Failure, public_key: str) -> Problem:
    port = "" if spec["port"] == 22 else f"-p {spec['port']} "
    jump = f"-o ProxyJump={spec['jump']} " if spec.get("jump") else ""
    target = f"{spec['user']}@{spec['address']}"
    if file := spec.get("privateKeyFile"):
        remedy = f"ssh-copy-id -i {file}.pub {jump}{port}{target}"
    elif not public_key:
        remedy = f"ssh-add -l must list a key that {target} accepts, among the first few (MaxAuthTries)"
    else:
        remedy = f"put this line into ~{spec['user']}/.ssh/authorized_keys there:\n{public_key}"
    if spec["user"] == "root":
        remedy += "\n(sshd must allow root by key: PermitRootLogin prohibit-password)"
    return Problem(
        spec["name"],
        f"{target}: {failure.detail}",
        f"our key accepted for {spec['user']}",
        remedy,
        check="login",
    )


def _facts(spec: Mapping[str, Any], failure: Failure) -> Problem:
    return Problem(
        spec["name"],
        f"logged in, but the questions were not answered: {failure.detail}",
        "a shell that runs commands, and a machine that is not overloaded",
        f'{ssh_command(spec)} "id; uptime" must answer at once, without a question or a menu',
        check="facts",
    )
