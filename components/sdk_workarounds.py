"""What the components do only because of the size of a cluster, or because of Pulumi's Python SDK.

The size goal: stacks of up to 1,000 agents (some 5,000 Commands), whose preview takes time and memory in
proportion to the number of agents. `make bench` measures it (rehearsal/reports/bench.md). Each function says
what happens without it.

`__main__.py` switches Python's collection of cycles off. The SDK makes some hundred objects for each resource
and drops few of them before the end, and the collector visits all of them again and again: two fifths of the
program's processor time (16.1 s with 1,000 agents, 9.7 s without it). It frees next to nothing: the
program's memory is 475 MiB instead of 443 MiB.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TypeVar, cast

import pulumi
from pulumi import ResourceOptions
from pulumi_command import remote

T = TypeVar("T")

NODES_PER_SCRIPT = 200
BYTES_PER_SCRIPT = 100_000
"""A script is one argument of the shell that sshd starts, and Linux allows 128 KiB for one (execve(2))."""


def child_options(parent: pulumi.Resource, opts: ResourceOptions | None, **more) -> ResourceOptions:
    """Options of a component's child: its parent, the component's `deleted_with`, `depends_on` and `hooks`,
    and `more`.

    The SDK hands none of the three on. Without `deleted_with` a full destroy would delete every object in the
    cluster one by one, from an API server that is being removed.
    """
    component = opts or ResourceOptions()
    inherited = ResourceOptions(
        parent=parent,
        deleted_with=component.deleted_with,
        depends_on=component.depends_on,
        hooks=component.hooks,
    )
    return ResourceOptions.merge(inherited, ResourceOptions(**more))


def shared_connection(connection: remote.ConnectionArgsDict) -> pulumi.Output[remote.ConnectionArgsDict]:
    """One secret Output of a connection, for all Commands of a host.

    The SDK would walk through a plain dict for each Command and make some forty Outputs each time. It takes a
    Mapping that is no dict as it is.
    """
    secret = pulumi.Output.secret(connection)
    return secret.apply(lambda fields: cast(remote.ConnectionArgsDict, MappingProxyType(fields)))


@contextmanager
def without_stack_trace() -> Iterator[None]:
    """Registers resources without the Python call stack that led to them.

    The SDK records it for each resource: 2 KB of the state, and a part of the program's time. It has no
    option for that, but it reads the stack with traceback.extract_stack, which obeys sys.tracebacklimit.
    The traceback of an error is as long as ever: it is made when the limit is gone.
    """
    before = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = 1
    try:
        yield
    finally:
        if before is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before


def known_after(value: pulumi.Output[T], resource: pulumi.Resource | None) -> pulumi.Output[T]:
    """`value`, known when `resource` is registered, that is: when its operation is done.

    An input that needs it waits for the resource without depending on it. For each dependency the SDK walks
    down all resources behind it, recursively, and a chain of some hundred is deeper than Python's stack.
    """
    if resource is None:
        return value
    return pulumi.Output.all(value, resource.urn.future()).apply(lambda both: cast(T, both[0]))


async def flush_registrations() -> None:
    """For `pulumi.run`, at the end of the program: lets the SDK begin its registrations.

    The SDK waits for registrations one by one, but only for those that have begun, and while the program runs
    none has. Without this turn of the event loop it waits for all outputs at once instead, again and again,
    which grows with the square of the number of resources (pulumi/runtime/stack.py, wait_for_rpcs).
    """
    await asyncio.sleep(0)


def node_batches(nodes: Sequence[T], size: Callable[[T], int]) -> Iterator[tuple[int, Sequence[T]]]:
    """The nodes in batches that fit into one script, each with the index of its first node.

    `size` is the number of bytes that a node has in the script.
    """
    start = bytes_used = 0
    for index, node in enumerate(nodes):
        bytes_used += size(node)
        if index > start and (index - start == NODES_PER_SCRIPT or bytes_used > BYTES_PER_SCRIPT):
            yield start, nodes[start:index]
            start, bytes_used = index, size(node)
    if nodes:
        yield start, nodes[start:]
