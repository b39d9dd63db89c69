"""The admission policy of one team: its pools, its PriorityClasses, and what one pod may request."""

from collections.abc import Iterator

from k3sgpu.teams.cel import Rule, literal, resources, validating_policy
from k3sgpu.teams.manifest import Manifest
from k3sgpu.teams.names import MEMBER_USER_PREFIX, TEAM_LABEL, priority_class, team_policy, template_policy
from k3sgpu.teams.safety import WRITTEN_BY_MEMBER
from k3sgpu.teams.team_pools import RANKS, TeamPools
from k3sgpu.wellknown import GPU_RESOURCE, POOL_LABEL, RUNTIME_CLASS

PLAIN_RESOURCES = ("cpu", "memory", "ephemeral-storage")
"""What every pod may request. Guaranteed pods may not request the last, which is not counted by slices."""
SYSTEM_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Those that Kubernetes itself adds to every pod, with the effect NoExecute."""
CPU_TOLERANCE = 0.0001
"""CPUs: the sum of decimal fractions differs from the product."""
WRITER = (
    f"request.userInfo.username.startsWith({literal(MEMBER_USER_PREFIX)}) ?\n"
    f"request.userInfo.username.substring({len(MEMBER_USER_PREFIX)}) : ''"
)
"""The member who makes the request; '' for a controller or an administrator."""
TEMPLATES = (("apps", ("deployments", "statefulsets")), ("batch", ("jobs", "cronjobs")))
TEMPLATE = (
    "dyn(object).kind == 'CronJob' ?\ndyn(object).spec.jobTemplate.spec.template : dyn(object).spec.template"
)
"""The pod template of any of TEMPLATES."""


def pools_by_class(team: TeamPools) -> dict[str, str]:
    """The pool of each PriorityClass of the team, those of members left out."""
    return {priority_class(rank, pool.name): pool.name for pool in team.pools for rank in RANKS}


def class_variables(team: TeamPools, priority: str) -> dict[str, str]:
    """Variables that read the name of a PriorityClass, given in CEL."""
    return {
        "priority": priority,
        "pool": f"{literal(pools_by_class(team))}[?variables.priority.split('.')[0]].orValue('')",
        "owner": "variables.priority.contains('.') ?\n"
        "variables.priority.substring(variables.priority.indexOf('.') + 1) : ''",
        "writer": WRITER,
    }


def share_policies(team: TeamPools) -> tuple[Manifest, ...]:
    """The team's policy for pods, and for what makes pods where members' slices are counted."""
    selector = {"matchLabels": {TEAM_LABEL: team.name}}
    pods = validating_policy(
        team_policy(team.name),
        selector,
        [resources("", ["pods"], ["CREATE"])],
        {**class_variables(team, "object.spec.?priorityClassName.orValue('')"), **_pod_variables(team)},
        _pod_rules(team),
    )
    if not team.per_member:
        return pods
    templates = validating_policy(
        template_policy(team.name),
        selector,
        [resources(group, names, ["CREATE", "UPDATE"]) for group, names in TEMPLATES],
        {
            "template": TEMPLATE,
            **class_variables(team, "variables.template.spec.?priorityClassName.orValue('')"),
        },
        [
            Rule(
                "(request.operation == 'UPDATE' && dyn(object).spec == dyn(oldObject).spec) ||\n"
                f"(variables.pool != '' && {_own_class(team)})",
                f"{_class_advice(team)}; only whose slices they use may change these pods",
            )
        ],
        condition=WRITTEN_BY_MEMBER,
    )
    return (*pods, *templates)


def _pod_variables(team: TeamPools) -> dict[str, str]:
    by_pool = {pool.name: list(pool.resources) for pool in team.pools}
    return {
        "resources": f"{literal(by_pool)}[?variables.pool].orValue([])",
        "guaranteed": "variables.priority.startsWith('guaranteed-')",
        # dyn: the type checker knows no field that maps names to quantities.
        "slices": "dyn(object).spec.containers.map(c, variables.resources.map(r,\n"
        "quantity(c.?resources.?limits[?r].orValue('0')).asInteger()).sum()).sum()",
        "cpu": _requested("cpu"),
        "memory": _requested("memory"),
        "names": "(dyn(object).spec.containers + dyn(object).spec.?initContainers.orValue([])).map(c,\n"
        "c.?resources.?requests.orValue({}).map(name, name)).flatten()",
    }


def _requested(resource: str) -> str:
    """What the scheduler counts: sidecars, with the sum of containers or the largest init container.

    The scheduler does not count a sidecar with the init containers before it; here it is counted.
    """
    of = f"quantity(c.?resources.?requests[?'{resource}'].orValue('0')).asApproximateFloat()"
    inits = "dyn(object).spec.?initContainers.orValue([])"
    return (
        f"{inits}.filter(c, c.?restartPolicy.orValue('') == 'Always').map(c, {of}).sum() +\n"
        f"([dyn(object).spec.containers.map(c, {of}).sum()] +\n"
        f"{inits}.filter(c, c.?restartPolicy.orValue('') != 'Always').map(c, {of})).max()"
    )


def _pod_rules(team: TeamPools) -> Iterator[Rule]:
    classes = _class_advice(team)
    yield Rule(
        f"variables.pool != '' && ({_own_class(team)} || (variables.writer == '' && ({_team_class(team)})))",
        classes,
    )
    yield Rule(
        f"object.spec.?nodeSelector[?{literal(POOL_LABEL)}].orValue('') == variables.pool",
        f"write the pool of the priorityClassName as nodeSelector {POOL_LABEL}",
    )
    yield from _request_rules(team)
    yield from _guaranteed_rules(team)
    yield Rule(
        f"variables.slices > 0 || object.spec.?runtimeClassName.orValue('') != {literal(RUNTIME_CLASS)}",
        f"remove runtimeClassName {RUNTIME_CLASS}, or request a slice in resources.limits",
    )
    if hours := team.team.hours:
        yield Rule(
            "has(object.spec.activeDeadlineSeconds) && "
            f"object.spec.activeDeadlineSeconds <= {hours.most * 3600}",
            f"write activeDeadlineSeconds: {hours.most * 3600} ({hours.most} hours) at most",
        )
    yield _tolerations_rule(team)


def _request_rules(team: TeamPools) -> Iterator[Rule]:
    most = {pool.name: {share.resource: share.per_pod for share in pool.shares} for pool in team.pools}
    offered = "; ".join(f"{pool.name}: {', '.join(pool.resources) or 'nothing'}" for pool in team.pools)
    yield Rule(
        f"variables.names.all(name, name in {literal(PLAIN_RESOURCES)} || name in variables.resources)",
        f"request only CPU, memory, ephemeral-storage, and what the pool offers ({offered})",
    )
    yield Rule(
        f"variables.resources.all(r, dyn(object).spec.containers.map(c,\n"
        "quantity(c.?resources.?limits[?r].orValue('0')).asInteger()).sum() <=\n"
        f"{literal(most)}[variables.pool][r])",
        "request no more for one pod than "
        + "; ".join(f"{n} {r} in pool {pool}" for pool, by in most.items() for r, n in by.items()),
    )


def _guaranteed_rules(team: TeamPools) -> Iterator[Rule]:
    cpu = {pool.name: pool.per_slice.cpu_millis / 1000 for pool in team.pools}
    memory = {pool.name: float(pool.per_slice.memory_mib * 2**20) for pool in team.pools}
    bounds = "; ".join(
        f"{pool.per_slice.cpu_millis}m and {pool.per_slice.memory_mib}Mi in pool {pool.name}"
        for pool in team.pools
    )
    yield Rule(
        "variables.slices > 0 || !variables.guaranteed",
        "a pod without a slice can be burst only: write priorityClassName "
        + " or ".join(priority_class("burst", pool.name) for pool in team.pools),
    )
    yield Rule(
        "!variables.guaranteed || variables.names.filter(name, name in variables.resources).all(name,\n"
        "variables.names.all(other, other == name || !(other in variables.resources)))",
        "a guaranteed pod requests one kind of slice: make it burst, or two pods",
    )
    yield Rule(
        "!variables.guaranteed || !('ephemeral-storage' in variables.names)",
        "remove the request of ephemeral-storage from a guaranteed pod, or make it burst",
    )
    yield Rule(
        "!variables.guaranteed ||\n"
        f"(variables.cpu <= {literal(cpu)}[variables.pool] * double(variables.slices) + {CPU_TOLERANCE} &&\n"
        f"variables.memory <= {literal(memory)}[variables.pool] * double(variables.slices))",
        f"write resources.requests for each container, for each slice of the pod at most {bounds}; "
        "or make the pod burst",
    )


def _own_class(team: TeamPools) -> str:
    """Whether the class is the writer's own where slices of members are counted, and nobody's elsewhere."""
    counted = [pool.name for pool in team.pools if pool.per_member]
    return (
        f"(variables.pool in {literal(counted)} ?\n"
        "(variables.writer != '' && variables.owner == variables.writer) : !variables.priority.contains('.'))"
    )


def _team_class(team: TeamPools) -> str:
    """Whether the class is one of the team's, for pods that a controller creates from a judged template."""
    counted = [pool.name for pool in team.pools if pool.per_member]
    return (
        f"!variables.priority.contains('.') || (variables.pool in {literal(counted)} &&\n"
        f"variables.owner in {literal(list(team.team.members))})"
    )


def _class_advice(team: TeamPools) -> str:
    if not team.pools:
        return f"team {team.name} has no pool: ask the administrator"
    names = [
        priority_class(rank, pool.name) + (".NAME with your name" if pool.per_member else "")
        for pool in team.pools
        for rank in RANKS
    ]
    return f"write one of team {team.name}'s classes as priorityClassName: {', '.join(names)}"


def _tolerations_rule(team: TeamPools) -> Rule:
    keys = {pool.name: [taint.key for taint in pool.taints] for pool in team.pools}
    return Rule(
        "object.spec.?tolerations.orValue([]).all(t,\n"
        f"(t.?key.orValue('') == {literal(GPU_RESOURCE)} && t.?effect.orValue('') == 'NoSchedule') ||\n"
        f"(t.?key.orValue('') in {literal(SYSTEM_TOLERATIONS)} && t.?effect.orValue('') == 'NoExecute') ||\n"
        f"t.?key.orValue('') in {literal(keys)}[?variables.pool].orValue([]))",
        "remove the tolerations of other taints than the pool's: they would place the pod on nodes that are "
        "kept free",
    )
