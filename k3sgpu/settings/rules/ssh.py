"""Rules of the SSH login."""

from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.rules.draft import Draft


def private_key_has_one_source(draft: Draft) -> Iterator[Problem]:
    """Require exactly one source of the private key: a file, an agent or a secret."""
    ssh = draft.settings.ssh
    sources = {
        "ssh.privateKeyFile": ssh.private_key_file is not None,
        "ssh.agent: true": ssh.agent,
        "the secret sshPrivateKey": "sshPrivateKey" in draft.settings.secrets,
    }
    chosen = [source for source, is_chosen in sources.items() if is_chosen]
    if len(chosen) > 1:
        yield Problem(
            "ssh.privateKeyFile" if ssh.private_key_file else "ssh.agent",
            " and ".join(chosen),
            "one source of the private key",
            "remove all but one; to remove the secret, run: pulumi config rm sshPrivateKey",
        )
    bastion = draft.settings.bastion
    ends = [*draft.settings.machines, *([bastion] if bastion else [])]
    without = [end.title.removeprefix("host ") for end in ends if not end.private_key_file]
    if not chosen and without and draft.intact("ssh") and draft.intact("pools"):
        yield Problem(
            "ssh.privateKeyFile",
            f"no private key for {', '.join(without)}",
            "ssh.privateKeyFile, ssh.agent: true, or the secret sshPrivateKey",
            "add `privateKeyFile: ~/.ssh/id_ed25519` to ssh, or run: "
            "pulumi config set --secret sshPrivateKey < KEYFILE",
        )
