"""A Job on each GPU node that has to compute on one slice."""

import json
from collections.abc import Sequence
from typing import TypedDict

import pulumi
from pulumi_command import local

from components.local_command import local_command
from components.sdk_workarounds import child_options
from k3sgpu.handoff.jobs import VERIFY_VARIABLE, NodeToVerify, VerifyPlan


class GpuVerifyArgs(TypedDict):
    """The Jobs, and where they run."""

    namespace: pulumi.Input[str]
    """Of the Jobs."""
    nodes: Sequence[NodeToVerify]
    image: str
    strict: bool
    """Whether a node that fails also fails the update."""
    timeout_seconds: int
    generation: int
    """Another number runs all Jobs again."""
    kubeconfig: pulumi.Input[str]


class GpuVerify(pulumi.ComponentResource):
    """Runs when it is created, and again when the nodes or their resources change.

    It needs `depends_on` the gate that waits for the slices.
    """

    ran: local.Command
    """Exists when every node has its verdict."""
    verdicts: pulumi.Output[dict[str, str]]
    """By node: `passed`, `skipped: full`, or `failed: <reason>`."""

    def __init__(self, name: str, args: GpuVerifyArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuVerify", name, None, opts)
        plan = pulumi.Output.from_input(args["namespace"]).apply(lambda namespace: _plan(namespace, args))
        self.ran = local_command(
            name,
            "jobs verify",
            {VERIFY_VARIABLE: pulumi.Output.json_dumps(plan, sort_keys=True)},
            args["kubeconfig"],
            child_options(self, opts),
        )
        self.verdicts = self.ran.stdout.apply(json.loads)
        self.register_outputs({"verdicts": self.verdicts})


def _plan(namespace: str, args: GpuVerifyArgs) -> VerifyPlan:
    return {
        "namespace": namespace,
        "nodes": list(args["nodes"]),
        "image": args["image"],
        "strict": args["strict"],
        "timeoutSeconds": args["timeout_seconds"],
        "generation": args["generation"],
    }
