"""A command plugin that runs nothing and answers at once: so that a state of a thousand agents can be had."""

import sys
from typing import Any

from rehearsal.simulators.plugins.command.provider import CommandStandIn
from rehearsal.simulators.plugins.server import serve
from tools.mocked_program import KUBECONFIG, TOKENS


class DryCommand(CommandStandIn):
    """What the scripts print that others need; the rest prints nothing."""

    def _run(
        self, urn: str, operation: str, inputs: dict[str, Any], previous: dict[str, str]
    ) -> dict[str, str]:
        said = {"cluster-tokens": TOKENS, "cluster-kubeconfig": KUBECONFIG}
        return {"stdout": said.get(urn.rpartition("::")[2], "ok"), "stderr": ""}


def main() -> None:
    """What the engine starts."""
    serve(DryCommand, sys.argv[1:])
