"""Protection of a whole stack.

The engine refuses to delete a protected resource, but only after it has deleted all that depends on it. The
guard depends on everything, so a destroy reaches it first. It names only what comes last, because a list of
all resources would be half a KB of the state for each agent.
"""

from collections.abc import Sequence

import pulumi
from pulumi import ResourceOptions


class Guard(pulumi.ComponentResource):
    """Protected, it keeps a destroy from deleting anything; unprotected, it does nothing."""

    def __init__(self, name: str, after: Sequence[pulumi.Resource], *, protect: bool):
        super().__init__(
            "k3sgpu:index:Guard", name, None, ResourceOptions(depends_on=list(after), protect=protect)
        )
        self.register_outputs({})
