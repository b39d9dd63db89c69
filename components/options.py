"""Options that a component hands on to its children, because the SDK does not."""

import pulumi
from pulumi import ResourceOptions


def child(parent: pulumi.Resource, opts: ResourceOptions | None, **more) -> ResourceOptions:
    """Options of a child: its parent, the component's `deleted_with`, `depends_on` and `hooks`, and `more`.

    Everything in a cluster goes with the cluster: a full destroy must not talk to a dying API server.
    """
    given = opts or ResourceOptions()
    own = ResourceOptions(
        parent=parent, deleted_with=given.deleted_with, depends_on=given.depends_on, hooks=given.hooks
    )
    return ResourceOptions.merge(own, ResourceOptions(**more))
