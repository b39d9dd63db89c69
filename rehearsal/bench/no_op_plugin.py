"""A command plugin that runs nothing: it creates the state of a thousand agents without machines."""

import sys
from typing import Any

from rehearsal.simulators.plugins.command.provider import CommandStandIn
from rehearsal.simulators.plugins.server import serve
from tools.mocked_program import KUBECONFIG, TOKENS


class NoOpCommand(CommandStandIn):
    """Answers with the output that other resources need, and with ok otherwise."""

    def _run(
        self, urn: str, operation: str, inputs: dict[str, Any], previous: dict[str, str]
    ) -> dict[str, str]:
        output = {"cluster-tokens": TOKENS, "cluster-kubeconfig": KUBECONFIG}
        return {"stdout": output.get(urn.rpartition("::")[2], "ok"), "stderr": ""}


def main() -> None:
    """The process that the engine starts."""
    serve(NoOpCommand, sys.argv[1:])
