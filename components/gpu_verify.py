"""A Job on each GPU node that has to compute on one slice."""

import json
from collections.abc import Sequence
from typing import TypedDict

import pulumi
from pulumi_command import local

from components.local_command import local_command
from components.sdk_workarounds import child_options
from k3sgpu.handoff.expected_state import OFFER_SOURCES_VARIABLE
from k3sgpu.handoff.jobs import VERIFY_VARIABLE, NodeToVerify, VerifyPlan


class GpuVerifyArgs(TypedDict):
    """The Jobs, and where they run."""

    namespace: str
    """Of the Jobs."""
    operator: pulumi.Input[str]
    """Changes whenever the operator's Release does: all nodes are verified again."""
    nodes: Sequence[NodeToVerify]
    image: str
    strict: bool
    """Whether a node that fails also fails the update."""
    timeout_seconds: int
    generation: int
    """Another number runs all Jobs again."""
    kubeconfig: pulumi.Input[str]


class GpuVerify(pulumi.ComponentResource):
    """Runs when it is created, and again when a node, its offer or the operator changes. Nodes that have
    passed and whose offer is the same are not verified again.

    It needs `depends_on` the gate that waits for the slices.
    """

    ran: local.Command
    """Exists when every node has its verdict."""
    verdicts: pulumi.Output[dict[str, str]]
    """By node: `passed`, `skipped: full`, or `failed: <reason>`."""

    def __init__(self, name: str, args: GpuVerifyArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuVerify", name, None, opts)
        self.ran = local_command(
            name,
            "jobs verify",
            {
                VERIFY_VARIABLE: json.dumps(_plan(args), sort_keys=True),
                OFFER_SOURCES_VARIABLE: args["operator"],
            },
            args["kubeconfig"],
            child_options(self, opts),
            remembers=True,
        )
        self.verdicts = self.ran.stdout.apply(_verdicts)
        self.register_outputs({"verdicts": self.verdicts})


def _plan(args: GpuVerifyArgs) -> VerifyPlan:
    return {
        "namespace": args["namespace"],
        "nodes": list(args["nodes"]),
        "image": args["image"],
        "strict": args["strict"],
        "timeoutSeconds": args["timeout_seconds"],
        "generation": args["generation"],
    }


def _verdicts(stdout: str) -> dict[str, str]:
    """The verdicts in what `jobs verify` prints (k3sgpu.cluster.verify_cache), and what older versions
    of this program printed."""
    rows = json.loads(stdout)
    return {node: row if isinstance(row, str) else row[0] for node, row in rows.items()}
