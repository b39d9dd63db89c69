"""The ssh command with which a person reaches a host, for remedies."""

from collections.abc import Mapping
from typing import Any


def ssh_command(host: Mapping[str, Any]) -> str:
    """The command for a host of the inventory, for instance `ssh -p 2222 me@10.0.0.21`."""
    jump = f"-J {host['jump']} " if host.get("jump") else ""
    port = "" if host["port"] == 22 else f"-p {host['port']} "
    return f"ssh {jump}{port}{host['user']}@{host['address']}"
