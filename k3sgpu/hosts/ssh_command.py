"""The ssh command with which a person reaches a host, for remedies."""

from k3sgpu.handoff.inventory import SshTarget


def ssh_command(target: SshTarget) -> str:
    """The command that opens a shell on `target`, for instance `ssh -p 2222 me@10.0.0.21`."""
    jump = f"-J {jump} " if (jump := target.get("jump")) else ""
    port = "" if target["port"] == 22 else f"-p {target['port']} "
    return f"ssh {jump}{port}{target['user']}@{target['address']}"
