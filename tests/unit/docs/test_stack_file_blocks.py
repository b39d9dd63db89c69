"""Every YAML block of the documentation is a stack file, whole or in part, that the program accepts.

Kubernetes' own objects are left out: rehearsal/tests/e2e/test_team_members.py creates them.

A block whose first line names a stack file (`# Pulumi.lab.yaml`) is whole. The sections of any other block
are put into a stack file that fits them.
"""

from typing import Any

import pytest
import yaml

from k3sgpu import settings
from tests.unit.docs.pages import pages

NAMESPACE = "k3s-gpu-sharing:"
HASH = "a" * 64
BLOCKS = [
    pytest.param(block, id=f"{page.path}-{number}")
    for page in pages()
    for number, block in enumerate(page.blocks("yaml"))
    if not block.startswith("apiVersion:")
]
AROUND: dict[str, Any] = {
    "ssh": {"privateKeyFile": "~/.ssh/id_ed25519"},
    "k3s": {"version": "v1.36.2+k3s1", "installScriptSha256": HASH},
    "pools": {
        "control": {"role": "server", "hosts": {"server-1": "10.0.37.144"}},
        "rtx": {
            "role": "agent",
            "hosts": {"gpu-1": "10.0.37.151"},
            "taints": ["team=red:NoSchedule"],
            "gpu": {
                "product": "NVIDIA-GeForce-RTX-2080-Ti",
                "count": 1,
                "memoryMiB": 11264,
                "profile": "2080ti-12gb",
            },
        },
    },
    "sharing": {
        "profiles": {
            "2080ti-12gb": {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 6}]}}
        }
    },
}


def sections(block: str) -> dict[str, Any]:
    """The sections of a block, without the prefix of their keys."""
    config = yaml.safe_load(block.replace("installScriptSha256: ...", f"installScriptSha256: {HASH}"))[
        "config"
    ]
    assert all(key.startswith(NAMESPACE) for key in config)
    return {key.removeprefix(NAMESPACE): value for key, value in config.items()}


def around(part: dict[str, Any]) -> dict[str, Any]:
    """A whole stack file with these sections. `k3s` and `pools` are merged into it, the others replace."""
    whole = {**AROUND, **part}
    for name in ("k3s", "pools"):
        whole[name] = {**AROUND[name], **part.get(name, {})}
    if "kubeconfig" in part:
        del whole["k3s"]
    return whole


@pytest.mark.parametrize("block", BLOCKS)
def test_stack_file_in_the_documentation_is_accepted(block: str) -> None:
    part = sections(block)
    whole = part if block.startswith("# Pulumi.") else around(part)
    settings.parse(whole, {"proxyPassword"} if "proxy" in whole.get("k3s", {}) else set())
