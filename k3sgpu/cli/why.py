"""For members of teams: why a pod or a workload does not run, and what would help.

  python -m k3sgpu why train             # a pod, Deployment, StatefulSet, Job or CronJob
  python -m k3sgpu why job/train         # where several have the same name

It needs nothing but your own kubeconfig, whose context names your team's namespace. It also tells of a pod
that exists no more, as long as the API server keeps its events: an hour.
Exit status 1: something stands in the way.
"""

import argparse
import asyncio
from dataclasses import asdict

from k3sgpu.cli.arguments import add_json
from k3sgpu.cli.member_kubeconfig import add_kubeconfig, member_config
from k3sgpu.cli.output import print_json, print_text
from k3sgpu.foreign_text import escape
from k3sgpu.problem import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the name, or KIND/NAME")
    add_kubeconfig(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Prints why something does not run. Returns the exit status: 1 if something stands in the way.

    Raises InputError for an unknown name, and where the cluster cannot be read.
    """
    from k3sgpu.cluster.client import ApiUnavailable, client
    from k3sgpu.cluster.members import findings
    from k3sgpu.cluster.members.pools import pool_views
    from k3sgpu.cluster.members.subject import TeamObjects, find_subject, known_names
    from k3sgpu.cluster.members.view import MemberView, look, read_team
    from k3sgpu.cluster.members.why import diagnose, is_fine

    config = member_config(options)

    async def read() -> tuple[MemberView, TeamObjects]:
        async with client(config) as api:
            view = await look(api, config)
            return view, await read_team(api, view)

    try:
        view, team = asyncio.run(read())
    except ApiUnavailable as error:
        raise InputError(str(error)) from None
    subject = find_subject(options.name, team)
    if subject is None:
        known = escape(", ".join(known_names(team)) or "nothing", 2000)
        raise InputError(
            f"found nothing called {escape(options.name)} in namespace {escape(view.team)}, and no event of "
            f"it; expected one of: {known}\nwhy something cannot be created, kubectl itself says"
        )
    groups = diagnose(subject, view, pool_views(view))
    if options.json:
        found = [asdict(one) for one in groups]
        print_json({"kind": subject.kind, "name": subject.name, "fine": is_fine(groups), "reasons": found})
    else:
        print_text(findings.as_text(f"{subject.kind} {subject.name} of team {view.team}", groups))
    return 0 if is_fine(groups) else 1
