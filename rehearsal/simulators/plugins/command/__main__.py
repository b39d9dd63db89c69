"""`python -m rehearsal.simulators.plugins.command ENGINE_ADDRESS`: the process that the engine starts."""

import sys

from rehearsal.simulators.plugins.command.provider import CommandStandIn
from rehearsal.simulators.plugins.server import serve


def main() -> None:
    serve(CommandStandIn, sys.argv[1:])


if __name__ == "__main__":
    main()
