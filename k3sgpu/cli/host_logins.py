"""How commands log in to the hosts of a stack: keys, the SSH agent, and secrets on the standard input."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from k3sgpu.problem import InputError
from k3sgpu.timeouts import SSH_AGENT_SECONDS

if TYPE_CHECKING:
    from k3sgpu.handoff.inventory import Inventory, SshTarget
    from k3sgpu.hosts.ssh import Login


def read_login_secrets(inventory: Inventory) -> str:
    """The secrets that logging in takes, from the standard input.

    Raises InputError where the stack needs an SSH agent, and none answers.
    """
    if inventory["agent"]:
        check_ssh_agent(required=True)
    return sys.stdin.read() if inventory["secrets"] and not sys.stdin.isatty() else ""


def host_logins(targets: Iterable[SshTarget], secrets: str, *, agent: bool) -> dict[str, Login]:
    """How to log in to each target, by name. `agent`: hosts without a private key use the SSH agent's keys.

    Raises InputError for secrets or keys that cannot be used.
    """
    from k3sgpu.hosts.logins import logins_for, read_secrets

    return logins_for(targets, read_secrets(secrets), os.environ.get("SSH_AUTH_SOCK", "") if agent else None)


def check_ssh_agent(*, required: bool) -> None:
    """Raises InputError when the SSH agent does not answer, or none is named and the stack needs one.

    pulumi-command connects to the agent in SSH_AUTH_SOCK even with a private key of its own. When that agent
    does not answer, as in a shell that outlived its login, it fails on every host.
    """
    path = os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        if required:
            raise InputError(
                "ssh.agent is true, and SSH_AUTH_SOCK names no SSH agent; start one and add the key: "
                'eval "$(ssh-agent)"; ssh-add'
            )
        return
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(SSH_AGENT_SECONDS)
            agent.connect(path)
    except OSError as error:
        raise InputError(
            f"SSH_AUTH_SOCK is {path}, where no SSH agent answers ({error.strerror or error}); "
            "Pulumi's command plugin would fail on every host. Run env -u SSH_AUTH_SOCK pulumi up"
        ) from None
