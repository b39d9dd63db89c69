"""`python -m rehearsal.simulators.plugins.kubernetes ENGINE_ADDRESS`: the process that the engine starts."""

import sys

from rehearsal.simulators.plugins.kubernetes.provider import KubernetesStandIn
from rehearsal.simulators.plugins.server import serve


def main() -> None:
    serve(KubernetesStandIn, sys.argv[1:])


if __name__ == "__main__":
    main()
