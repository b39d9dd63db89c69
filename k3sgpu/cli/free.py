"""For members of teams: the slices that are free for you now, and who has booked the others.

It needs nothing but your own kubeconfig, whose context names your team's namespace. What is free changes with
every pod of another team. Pods that wait count as booked, because they count in the quotas.
"""

import argparse
import asyncio

from k3sgpu.cli.arguments import add_json
from k3sgpu.cli.member_kubeconfig import add_kubeconfig, member_config
from k3sgpu.cli.output import print_json, print_text
from k3sgpu.problem import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_kubeconfig(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what is free. Returns the exit status: 0. Raises InputError where the cluster cannot be read."""
    from k3sgpu.cluster.client import ApiUnavailable, client
    from k3sgpu.cluster.members import free_text
    from k3sgpu.cluster.members.pools import pool_views
    from k3sgpu.cluster.members.view import MemberView, look

    config = member_config(options)

    async def view() -> MemberView:
        async with client(config) as api:
            return await look(api, config)

    try:
        found = asyncio.run(view())
    except ApiUnavailable as error:
        raise InputError(str(error)) from None
    pools = pool_views(found)
    if options.json:
        print_json(free_text.as_json(found, pools))
    else:
        print_text(free_text.as_text(found, pools))
    return 0
