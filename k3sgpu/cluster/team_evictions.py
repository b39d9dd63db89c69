"""Evicts the pods of teams that hold more slices than their teams may have now.

A ResourceQuota refuses only new pods: pods that were there when a guarantee was lowered keep their slices.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from lightkube import AsyncClient, KubeConfig

from k3sgpu import timeouts
from k3sgpu.capacity import TeamShare
from k3sgpu.capacity.node_usage import whole_number
from k3sgpu.cluster.client import ApiUnavailable, client, list_objects, request_deadline
from k3sgpu.cluster.eviction import request_eviction
from k3sgpu.cluster.kinds import Pod, ResourceQuota
from k3sgpu.cluster.objects import KubernetesObject, has_ended
from k3sgpu.foreign_text import escape
from k3sgpu.polling import Look, poll, progress_line
from k3sgpu.teams.evictions import Eviction, describe_eviction, evictions
from k3sgpu.teams.names import burst_quota, guaranteed_quota
from k3sgpu.teams.team_pods import team_pods

Progress = Callable[[str], None]


class EvictionsFailed(Exception):
    """Pods that could not be evicted; the text says what was waited for, and what to do."""


def evict_excess_pods(
    teams: Sequence[str], shares: Sequence[TeamShare], config: KubeConfig, progress: Progress
) -> list[str]:
    """Evicts the pods above the teams' shares, and returns a line for each of them.

    It waits until the API server's quotas have the numbers of `shares`: before, a controller would make an
    evicted pod again. A pod that a PodDisruptionBudget keeps is deleted, because other teams' guarantees
    count on its slices. `progress` gets a line whenever something has changed. Raises EvictionsFailed.
    """
    return asyncio.run(_evict_excess_pods(teams, shares, config, progress))


def planned_evictions(
    config: KubeConfig, teams: Sequence[str], shares: Sequence[TeamShare]
) -> list[Eviction]:
    """Returns the pods that `evict_excess_pods` would evict now, and changes nothing.

    It takes TEAM_PREVIEW_SECONDS at most. Raises ApiUnavailable and InputError.
    """

    async def look() -> list[Eviction]:
        async with client(config) as api, request_deadline(api, timeouts.TEAM_PREVIEW_SECONDS):
            return _excess(await _pods(api, teams), teams, shares)

    return asyncio.run(look())


async def _evict_excess_pods(
    teams: Sequence[str], shares: Sequence[TeamShare], config: KubeConfig, progress: Progress
) -> list[str]:
    async with client(config) as api:
        await _wait_for_quotas(api, shares, progress)
        return await _evict_until_gone(api, teams, shares, progress)


async def _wait_for_quotas(api: AsyncClient, shares: Sequence[TeamShare], progress: Progress) -> None:
    """Waits until new pods are held to the new numbers. Raises EvictionsFailed at the deadline."""

    async def look() -> Look[list[str]]:
        async with request_deadline(api):
            quotas = await list_objects(api, ResourceQuota, namespace="*")
        missing = quotas_without_shares(quotas, shares)
        return Look(missing, "; ".join(missing), done=not missing)

    deadline = timeouts.TEAM_QUOTAS_SECONDS
    result = await poll(
        look,
        deadline=deadline,
        interval=timeouts.TEAM_INTERVAL_SECONDS,
        progress=lambda waited, state: progress(progress_line(waited, deadline, state)),
    )
    if not result.done:
        raise EvictionsFailed(
            f"no pod was evicted: after {deadline} s new pods are not held to the teams' shares yet; "
            f"last seen: {result.state}\nremedy: pulumi up --refresh"
        )


def quotas_without_shares(quotas: Sequence[KubernetesObject], shares: Sequence[TeamShare]) -> list[str]:
    """Returns a line for each quota that does not have the number of its share in its spec and its status.

    Admission counts with the status (pkg/admission/plugin/resourcequota of k8s.io/apiserver).
    """
    found = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in quotas}
    missing = []
    for share in shares:
        key = f"requests.{share.resource}"
        numbers = {guaranteed_quota(share.pool): share.guaranteed, burst_quota(share.pool): share.burst}
        for name, number in numbers.items():
            quota = found.get((share.team, name), {})
            hard = [(part or {}).get("hard") or {} for part in (quota.get("spec"), quota.get("status"))]
            if any(whole_number(one.get(key)) != number for one in hard):
                now = hard[1].get(key, "nothing") if quota else "no such quota"
                missing.append(f"ResourceQuota {share.team}/{name}: {key} {number}, now {escape(now)}")
    return missing


async def _evict_until_gone(
    api: AsyncClient, teams: Sequence[str], shares: Sequence[TeamShare], progress: Progress
) -> list[str]:
    """Evicts until every pod above the shares is gone. Raises EvictionsFailed at the deadline."""
    chosen: dict[str, Eviction] = {}  # by uid

    async def look() -> Look[None]:
        async with request_deadline(api):
            pods = await _pods(api, teams)
        ending = {uid for uid, pod in pods.items() if "deletionTimestamp" in pod["metadata"]}
        states = dict.fromkeys(chosen.keys() & ending, "is terminating")
        for one in _excess(pods, teams, shares):
            chosen[one.pod.uid] = one
            states[one.pod.uid] = await _evict(api, pods[one.pod.uid])
        waiting = [f"{_name(chosen[uid])} {state}" for uid, state in states.items()]
        return Look(None, "; ".join(sorted(waiting)), done=not waiting)

    deadline = timeouts.TEAM_EVICTION_SECONDS
    result = await poll(
        look,
        deadline=deadline,
        interval=timeouts.DRAIN_INTERVAL_SECONDS,
        progress=lambda waited, state: progress(progress_line(waited, deadline, f"evicting: {state}")),
    )
    if not result.done:
        raise EvictionsFailed(
            f"after {deadline} s pods that should be gone are still there; last seen: {result.state}\n"
            "remedy: kubectl get nodes (a node that is not Ready ends no pod), then pulumi up again"
        )
    return [f"evicted {describe_eviction(one)}" for one in chosen.values()]


def _excess(
    pods: Mapping[str, KubernetesObject], teams: Sequence[str], shares: Sequence[TeamShare]
) -> list[Eviction]:
    return evictions(shares, team_pods(pods.values(), teams))


async def _pods(api: AsyncClient, teams: Sequence[str]) -> dict[str, KubernetesObject]:
    """The teams' pods that have not ended, by uid."""
    found = await asyncio.gather(*(list_objects(api, Pod, namespace=team) for team in teams))
    pods = [pod for some in found for pod in some if not has_ended(pod)]
    return {pod["metadata"]["uid"]: pod for pod in pods}


async def _evict(api: AsyncClient, pod: KubernetesObject) -> str:
    """Evicts the pod, or deletes it where a PodDisruptionBudget keeps it; returns what became of it."""
    answer = await request_eviction(api, pod)
    if not answer.budget:
        return answer.state
    metadata = pod["metadata"]
    try:
        async with request_deadline(api):
            await api.delete(Pod, metadata["name"], namespace=metadata["namespace"])
    except ApiUnavailable as error:
        return f"is not deleted: {error}"
    return f"is deleted, because its eviction was refused: {answer.state}"


def _name(one: Eviction) -> str:
    return escape(f"{one.pod.team}/{one.pod.name}")
