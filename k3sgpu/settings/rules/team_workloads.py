"""Rules of workloads in teams: what the team's namespace, quotas and policies would refuse."""

from collections import defaultdict
from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.resolved import Settings
from k3sgpu.settings.models.teams import Team, slices_of
from k3sgpu.settings.models.workloads import Workload
from k3sgpu.settings.pydantic_errors import nearest
from k3sgpu.settings.rules.draft import Draft


def workloads_name_their_team(draft: Draft) -> Iterator[Problem]:
    """Refuse a team that does not exist, a namespace beside a team, and a priority without a team."""
    teams = draft.settings.teams
    for name, workload in draft.settings.workloads.items():
        where, team = f"workloads.{name}", workload.team
        if team is None:
            if workload.priority:
                yield Problem(
                    f"{where}.priority",
                    f"{workload.priority}, without a team",
                    "team beside it: other pods have the priority of guaranteed ones",
                    "add team, or remove priority",
                )
        elif team not in teams:
            if draft.intact("teams"):
                like = nearest(team, teams) or next(iter(teams), None)
                yield Problem(
                    f"{where}.team",
                    f"{team}, which is no team",
                    f"one of the teams: {', '.join(sorted(teams)) or 'there is none'}",
                    f"write {like}, or remove team" if like else "add the team to teams, or remove team",
                )
        elif workload.namespace != team:
            yield Problem(
                f"{where}.namespace",
                f"{workload.namespace}, beside team: {team}",
                f"the team's own namespace, {team}",
                "remove namespace",
            )


def workloads_use_pools_of_their_team(draft: Draft) -> Iterator[Problem]:
    """Refuse a pool that is not the team's, no pool where the team has several, and no guarantee there."""
    for name, workload, team in _in_teams(draft):
        where, pools = f"workloads.{name}", team.pools
        listed = ", ".join(pools) or "it has none"
        if workload.pool is None and len(pools) != 1:
            yield Problem(
                f"{where}.pool",
                "nothing: the key is missing",
                f"one of the team's pools: {listed}",
                f"add pool: {pools[0]}" if pools else f"add a pool to teams.{workload.team}.limit",
            )
        elif workload.pool is not None and workload.pool not in pools:
            yield Problem(
                f"{where}.pool",
                f"{workload.pool}, of which team {workload.team} has no slices",
                f"one of the team's pools: {listed}",
                f"add {workload.pool} to teams.{workload.team}.limit"
                + (f", or write {nearest(workload.pool, pools) or pools[0]}" if pools else ""),
            )
        elif _lacks_guarantee(workload, team):
            yield Problem(
                f"{where}.priority",
                f"guaranteed, where team {workload.team} is guaranteed nothing",
                "burst, or slices in the team's guaranteed",
                f"remove priority, or add the pool to teams.{workload.team}.guaranteed",
            )


def _lacks_guarantee(workload: Workload, team: Team) -> bool:
    return workload.priority == "guaranteed" and not _guaranteed(team, workload)


def workloads_stay_in_their_teams_slices(draft: Draft) -> Iterator[Problem]:
    """Refuse pods larger than the team's perPod, and more slices than its guarantee or limit."""
    used: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for name, workload, team in _in_teams(draft):
        pool = workload.pool or next(iter(team.pools), None)
        if pool is None or pool not in team.pools or _lacks_guarantee(workload, team):
            continue
        where, resource, owner = f"workloads.{name}", workload.resource, f"teams.{workload.team}"
        per_pod = slices_of(team.per_pod.get(pool), resource) or 1
        if workload.gpus > per_pod:
            yield Problem(
                f"{where}.gpus",
                f"{workload.gpus}, above the {per_pod} that a pod of team {workload.team} may request",
                f"at most {owner}.perPod, {per_pod}",
                f"write gpus: {per_pod}, or {owner}.perPod: {{{pool}: {workload.gpus}}}",
            )
        key, number, guaranteed = _number_for(workload, team, pool)
        used[owner, pool, resource, key] += workload.pods * workload.gpus
        total = used[owner, pool, resource, key]
        if total > number - guaranteed:
            yield _too_many(where, workload, total, f"{owner}.{key}.{pool}", number, guaranteed)


def _number_for(workload: Workload, team: Team, pool: str) -> tuple[str, int, int]:
    """The key of the team that bounds the workload's pods, its number, and what of it is for other pods."""
    guaranteed = slices_of(team.guaranteed.get(pool), workload.resource) or 0
    if priority_of(workload, team) == "guaranteed":
        return "guaranteed", guaranteed, 0
    limit = slices_of(team.limit.get(pool), workload.resource)
    return "limit", guaranteed if limit is None else limit, guaranteed


def _too_many(
    where: str, workload: Workload, total: int, quota: str, number: int, guaranteed: int
) -> Problem:
    key = "replicas" if workload.kind == "Deployment" else "parallelism"
    own, most = workload.pods * workload.gpus, number - guaranteed
    before = f", {total} with the team's other workloads" if total > own else ""
    above = f"{most} that {quota} has above the guarantee" if guaranteed else f"{most} of {quota}"
    fewer = max(0, most - (total - own)) // workload.gpus
    return Problem(
        f"{where}.{key}",
        f"{workload.pods}: {own} slices{before}, above the {above}",
        f"at most {most} slices in all: the team's quota refuses further pods",
        (f"write {key}: {fewer}, or " if fewer else "") + f"raise {quota} to {total + guaranteed}",
    )


def priority_of(workload: Workload, team: Team) -> str:
    """The priority of a workload in its team: guaranteed where the team has a guarantee, if it names none."""
    return workload.priority or ("guaranteed" if _guaranteed(team, workload) else "burst")


def _guaranteed(team: Team, workload: Workload) -> int:
    """The slices that the team is guaranteed in the workload's pool."""
    pool = workload.pool or next(iter(team.pools), "")
    return slices_of(team.guaranteed.get(pool), workload.resource) or 0


def workloads_are_safe_in_teams(draft: Draft) -> Iterator[Problem]:
    """Refuse pods that the Pod Security Standard of the team's namespace refuses."""
    for name, workload, team in _in_teams(draft):
        context = workload.security_context
        if not context.is_baseline:
            added = "privileged: true" if context.privileged else ", ".join(context.capabilities.add)
            yield Problem(
                f"workloads.{name}.securityContext",
                f"{added}, in team {workload.team}",
                f"what the Pod Security Standard {team.pod_security} admits: members may run commands in\n"
                "the team's pods",
                "write securityContext: {} (NVIDIA's dcgm image needs SYS_ADMIN: take another image),\n"
                "or remove team",
            )
        elif team.pod_security == "restricted" and not _is_restricted(workload):
            yield Problem(
                f"workloads.{name}.securityContext",
                f"less than podSecurity: restricted of team {workload.team} demands",
                "runAsNonRoot: true, allowPrivilegeEscalation: false and capabilities: {drop: [ALL]}",
                "write securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false,\n"
                f"capabilities: {{drop: [ALL]}}}}, or teams.{workload.team}.podSecurity: baseline",
            )


def _is_restricted(workload: Workload) -> bool:
    context = workload.security_context
    added = set(context.capabilities.add) - {"NET_BIND_SERVICE"}
    return bool(
        context.run_as_non_root
        and context.run_as_user != 0
        and context.allow_privilege_escalation is False
        and "ALL" in context.capabilities.drop
        and not added
    )


def deployments_outlive_time_limits(draft: Draft) -> Iterator[Problem]:
    """Warn of a Deployment in a team with a time limit: its pods are ended again and again."""
    for name, workload, team in _in_teams(draft):
        if team.hours and workload.kind == "Deployment":
            yield Problem(
                f"workloads.{name}.kind",
                f"a Deployment in team {workload.team}, whose pods end after {team.hours.default} hours",
                "a Job, or a team without hours: the Deployment replaces every pod that has ended",
                f"write kind: Job, or remove teams.{workload.team}.hours, if that is not meant",
                "warning",
            )


def _in_teams(draft: Draft) -> Iterator[tuple[str, Workload, Team]]:
    """The workloads whose team exists and was read without a problem."""
    settings: Settings = draft.settings
    for name, workload in settings.workloads.items():
        team = settings.teams.get(workload.team) if workload.team else None
        if team and draft.intact("teams", workload.team or "") and draft.intact("workloads", name):
            yield name, workload, team
