"""Looks and judges, never changes: machines over SSH before an install, the cluster over its API afterwards.

Facts → rules → report. `python -m doctor hosts` asks every machine at one moment and judges here, where
rules can compare machines with each other and be tested without any. `python -m doctor cluster` compares
what the API shows with what was promised, and can wait for it.

The functions here say what doctor is told; the Pulumi program and the command line both use them.
They import neither asyncssh nor lightkube.
"""

from doctor.told import inventory, nodes_there, promise

__all__ = ["inventory", "nodes_there", "promise"]
