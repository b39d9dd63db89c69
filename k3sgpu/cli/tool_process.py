"""Starts the programs of tools/ that commands show the result of."""

import subprocess
import sys


def run_tool(module: str, *arguments: str) -> int:
    """Runs `python -m <module>` in the current folder and returns its exit status.

    In a process of its own, because Pulumi's mocks replace the state of the SDK and the product imports no
    tools.
    """
    return subprocess.run([sys.executable, "-m", module, *arguments]).returncode
