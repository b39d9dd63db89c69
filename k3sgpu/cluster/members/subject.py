"""What a member asks about: a pod or a workload of his team, with its pods and its events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from k3sgpu.cluster.objects import KubernetesObject

KINDS = ("Pod", "Deployment", "StatefulSet", "Job", "CronJob")
"""The kinds that can be asked about, in the order in which a name is looked for."""


@dataclass(frozen=True)
class TeamObjects:
    """Everything of a team's namespace that says why pods do not run, by kind."""

    objects: Mapping[str, Sequence[KubernetesObject]]
    events: Sequence[KubernetesObject] = ()


@dataclass(frozen=True)
class Subject:
    """What was found under a name."""

    kind: str
    name: str
    object: KubernetesObject | None
    """None for a pod that exists no more, of which only events are left."""
    pods: tuple[KubernetesObject, ...] = ()
    makers: tuple[KubernetesObject, ...] = ()
    """What makes the pods now: the newest ReplicaSet, the StatefulSet, Jobs that go on."""
    events: tuple[KubernetesObject, ...] = field(default=())
    """About any of these, the newest last."""


def find_subject(name: str, team: TeamObjects) -> Subject | None:
    """Returns what has this name, or KIND/NAME as kubectl writes it; None where nothing has."""
    kind, _, rest = name.rpartition("/")
    kinds = [one for one in KINDS if kind.lower() in ("", one.lower(), f"{one.lower()}s")]
    for one in kinds:
        found = next((item for item in team.objects.get(one, ()) if _name(item) == rest), None)
        if found is not None:
            return _subject(one, found, team)
    events = _events(team, {("Pod", rest)})
    return Subject("Pod", rest, None, events=events) if events and "Pod" in kinds else None


def known_names(team: TeamObjects) -> list[str]:
    """Returns what can be asked about: workloads, and pods that none of them owns, as KIND/NAME."""
    return sorted(
        f"{kind.lower()}/{_name(item)}"
        for kind in KINDS
        for item in team.objects.get(kind, ())
        if not _owners(item)
    )


def _subject(kind: str, item: KubernetesObject, team: TeamObjects) -> Subject:
    if kind == "Pod":
        return Subject(kind, _name(item), item, (item,), (), _events(team, {("Pod", _name(item))}))
    makers = [item] if kind in ("StatefulSet", "Job") else _owned(team, _made_by(kind), [item])
    pods = _owned(team, "Pod", makers)
    live = _newest_replica_set(makers) if kind == "Deployment" else makers
    named = {(one.get("kind") or kind, _name(one)) for one in (item,)}
    named |= {(_made_by(kind) if one is not item else kind, _name(one)) for one in makers}
    named |= {("Pod", _name(pod)) for pod in pods}
    return Subject(kind, _name(item), item, tuple(pods), tuple(live), _events(team, named))


def _made_by(kind: str) -> str:
    """The kind between a workload and its pods."""
    return {"Deployment": "ReplicaSet", "CronJob": "Job"}.get(kind, kind)


def _newest_replica_set(found: Sequence[KubernetesObject]) -> list[KubernetesObject]:
    wanted = [one for one in found if (one.get("spec") or {}).get("replicas")]
    return sorted(wanted, key=lambda one: one["metadata"].get("creationTimestamp") or "")[-1:]


def _owned(team: TeamObjects, kind: str, owners: Iterable[KubernetesObject]) -> list[KubernetesObject]:
    uids = {one["metadata"].get("uid") for one in owners}
    return [item for item in team.objects.get(kind, ()) if uids & _owners(item)]


def _owners(item: KubernetesObject) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences") or []}


def _events(team: TeamObjects, named: set[tuple[str, str]]) -> tuple[KubernetesObject, ...]:
    found = [
        event
        for event in team.events
        if ((event.get("involvedObject") or {}).get("kind"), (event.get("involvedObject") or {}).get("name"))
        in named
    ]
    return tuple(sorted(found, key=event_time))


def event_time(event: KubernetesObject) -> str:
    """When an event happened last, in Kubernetes' form, which sorts as text."""
    series = (event.get("series") or {}).get("lastObservedTime")
    times = (series, event.get("lastTimestamp"), event.get("eventTime"), event.get("firstTimestamp"))
    first = next((time for time in times if time), "")
    return first or event["metadata"].get("creationTimestamp") or ""


def _name(item: KubernetesObject) -> str:
    return item["metadata"]["name"]
