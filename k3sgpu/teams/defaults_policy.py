"""The mutating admission policy of one team: it fills in what a member left out of a pod.

It runs after Kubernetes' Priority plugin, which sees no class, and gives such a pod priority 0. So the policy
sets the class, the priority and the preemption policy together.
"""

from collections.abc import Iterator

from k3sgpu.teams.cel import add, literal, mutating_policy, patch_if, resources
from k3sgpu.teams.classes import PREEMPTION, PRIORITY
from k3sgpu.teams.manifest import Manifest
from k3sgpu.teams.names import TEAM_LABEL, team_policy, template_policy
from k3sgpu.teams.safety import WRITTEN_BY_MEMBER
from k3sgpu.teams.share_policy import TEMPLATE, TEMPLATES, WRITER, pools_by_class
from k3sgpu.teams.team_pools import TeamPools
from k3sgpu.wellknown import GPU_RESOURCE, POOL_LABEL, RUNTIME_CLASS

_LAST_TOLERATION = "'/spec/tolerations/-'"
_TEMPLATE_PATH = (
    "dyn(object).kind == 'CronJob' ? '/spec/jobTemplate/spec/template/spec' : '/spec/template/spec'"
)


def defaults_policies(team: TeamPools) -> tuple[Manifest, ...]:
    """The team's policy for pods, and for what makes pods where members' slices are counted."""
    if not team.pools:
        return ()
    selector = {"matchLabels": {TEAM_LABEL: team.name}}
    pods = mutating_policy(
        team_policy(team.name),
        selector,
        [resources("", ["pods"], ["CREATE"])],
        {
            **_class_variables(team, "object.spec"),
            "pool": f"{literal(pools_by_class(team))}[?variables.priority.split('.')[0]].orValue('')",
        },
        _pod_patches(team),
    )
    if not team.per_member:
        return pods
    templates = mutating_policy(
        template_policy(team.name),
        selector,
        [resources(group, names, ["CREATE", "UPDATE"]) for group, names in TEMPLATES],
        {
            "template": TEMPLATE,
            "path": _TEMPLATE_PATH,
            **_class_variables(team, "variables.template.spec"),
        },
        [
            patch_if(
                "variables.given == '' && variables.priority != ''",
                add("variables.path + '/priorityClassName'", "variables.priority"),
            )
        ],
        condition=WRITTEN_BY_MEMBER,
    )
    return (*pods, *templates)


def _class_variables(team: TeamPools, spec: str) -> dict[str, str]:
    """`given` is the class that the pod names; `priority` is it, or the default; '' where there is none."""
    names = [pool.name for pool in team.pools]
    only = names[0] if len(names) == 1 else ""
    offered = sorted({resource for pool in team.pools for resource in pool.resources})
    guaranteed = [pool.name for pool in team.pools if pool.guaranteed]
    counted = [pool.name for pool in team.pools if pool.per_member]
    return {
        "given": f"{spec}.?priorityClassName.orValue('')",
        "selected": f"{spec}.?nodeSelector[?{literal(POOL_LABEL)}].orValue({literal(only)})",
        "slices": f"{spec}.containers.exists(c,\n"
        f"c.?resources.?limits.orValue({{}}).exists(name, name in {literal(offered)}))",
        "writer": WRITER,
        "rank": f"variables.slices && variables.selected in {literal(guaranteed)} ? 'guaranteed' : 'burst'",
        "priority": "variables.given != '' ? variables.given :\n"
        f"!(variables.selected in {literal(names)}) ? '' :\n"
        f"!(variables.selected in {literal(counted)}) ? variables.rank + '-' + variables.selected :\n"
        "variables.writer == '' ? '' : variables.rank + '-' + variables.selected + '.' + variables.writer",
    }


def _pod_patches(team: TeamPools) -> Iterator[str]:
    yield patch_if(
        "variables.given == '' && variables.priority != ''",
        add("'/spec/priorityClassName'", "variables.priority"),
        add("'/spec/priority'", f"{literal(PRIORITY)}[variables.rank]"),
        add("'/spec/preemptionPolicy'", f"{literal(PREEMPTION)}[variables.rank]"),
    )
    key = POOL_LABEL.replace("/", "~1")
    yield patch_if(
        "variables.pool != '' && !has(object.spec.nodeSelector)",
        add("'/spec/nodeSelector'", f"{{{literal(POOL_LABEL)}: variables.pool}}"),
    )
    yield patch_if(
        "variables.pool != '' && has(object.spec.nodeSelector) &&\n"
        f"!({literal(POOL_LABEL)} in object.spec.nodeSelector)",
        add(f"'/spec/nodeSelector/{key}'", "variables.pool"),
    )
    yield from _toleration_patches(team)
    yield patch_if(
        "variables.slices && !has(object.spec.runtimeClassName)",
        add("'/spec/runtimeClassName'", literal(RUNTIME_CLASS)),
    )
    if hours := team.team.hours:
        yield patch_if(
            "!has(object.spec.activeDeadlineSeconds)",
            add("'/spec/activeDeadlineSeconds'", str(hours.default * 3600)),
        )


def _toleration_patches(team: TeamPools) -> Iterator[str]:
    yield patch_if("!has(object.spec.tolerations)", add("'/spec/tolerations'", "[]"))
    gpu = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
    yield f"[{add(_LAST_TOLERATION, literal(gpu))}]"
    for pool in team.pools:
        for taint in pool.taints:
            one = {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
            yield patch_if(f"variables.pool == {literal(pool.name)}", add(_LAST_TOLERATION, literal(one)))
