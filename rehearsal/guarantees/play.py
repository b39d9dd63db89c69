"""One play for every pool of a batch, in step: bursts, the worst placement of others, coming and going."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from k3sgpu.capacity.team_guarantees import TeamRoom
from k3sgpu.capacity.team_shares import TeamShare
from k3sgpu.teams.evictions import evictions
from k3sgpu.teams.objects import team_objects
from k3sgpu.teams.team_pods import TeamPod
from k3sgpu.teams.team_pools import RANKS
from k3sgpu.wellknown import GPU_RESOURCE
from rehearsal.guarantees.cases import Batch, Case, Object
from rehearsal.guarantees.cluster import Cluster, NewPod, PodState

ROUNDS = 2
"""How often some pods leave and others come."""
OUTSIDE = "default"


@dataclass
class Outcome:
    """What was seen of one pool."""

    case: Case
    proven: bool
    pods: int = 0
    refused: int = 0
    """Pods that quotas refused, as they should."""
    evicted: int = 0
    """Pods that quotas admitted by mistake."""
    failures: list[str] = field(default_factory=list)


@dataclass
class PoolPlay:
    """A pool with its pods."""

    case: Case
    cluster: Cluster
    random: Random
    outcome: Outcome
    made: int = 0

    @property
    def shares(self) -> tuple[TeamShare, ...]:
        """Of the teams that may use the pool."""
        return self.case.guarantees.shares

    def pod(self, share: TeamShare, rank: str, slices: int, **more: object) -> NewPod:
        """A further pod of a team, by its member."""
        self.made += 1
        default = rank == "guaranteed" and share.guaranteed > 0 and not self.several_pools(share)
        return NewPod(
            name=f"{self.case.pool}-{self.made}",
            namespace=share.team,
            pool=self.case.pool,
            rank=rank,
            slices=slices,
            member=share.team.replace("-t", "-m"),
            names_class=not default or self.random.random() < 0.5,
            **more,  # pyright: ignore[reportArgumentType]
        )

    def several_pools(self, share: TeamShare) -> bool:
        """Whether a pod of the team has to say which pool it means."""
        return sum(limit[0] == share.team and limit[2] == "" for limit in self.cluster.pods.limits) > 1

    def pods_of(self, share: TeamShare, rank: str) -> list[PodState]:
        """The team's pods in this pool."""
        return self.cluster.pods.of(share.team, self.case.pool, rank)

    def slices_of(self, share: TeamShare, rank: str) -> int:
        """The slices that they request."""
        return sum(pod.slices for pod in self.pods_of(share, rank))

    def sizes(self, total: int, per_pod: int) -> list[int]:
        """Pods of random sizes with so many slices together."""
        found: list[int] = []
        while total:
            found.append(self.random.randint(1, min(per_pod, total)))
            total -= found[-1]
        return found

    def check(self, right: bool, text: str) -> None:
        """Remembers a failure."""
        if not right:
            self.outcome.failures.append(f"{self.case.pool}: {text}")


def play(batch: Batch, cluster: Cluster, random: Random) -> list[Outcome]:
    """All steps of all pools of a batch. Raises TimeoutError if objects do not come up."""
    _prepare(batch, cluster)
    pools = [
        PoolPlay(case, cluster, random, Outcome(case, case.guarantees.blocked is None))
        for case in batch.cases
    ]
    plans = {one.case.pool: worst_placement(one.case) for one in pools}
    _place_outside(pools, plans, cluster)
    _alone(pools, cluster)
    _flood(pools, cluster)
    victims = {one.case.pool: _victim(one) for one in pools}
    _place_adversaries(pools, plans, victims, cluster)
    _ask_for_the_last_slices(pools, victims, cluster)
    proven = [one for one in pools if one.outcome.proven]
    _use_all_guarantees(proven, cluster)
    for _ in range(ROUNDS):
        _come_and_go(proven, cluster)
    for one in pools:
        one.outcome.pods = one.made
    return [one.outcome for one in pools]


def _prepare(batch: Batch, cluster: Cluster) -> None:
    """Applies what the program applies, and waits until quotas and policies are in force."""
    shares = tuple(share for case in batch.cases for share in case.guarantees.shares)
    objects = team_objects(batch.settings, batch.offers, shares)
    with cluster.pods.lock:
        for share in shares:
            place = share.team, share.pool
            cluster.pods.limits |= {
                (*place, "guaranteed"): share.guaranteed,
                (*place, "burst"): share.burst,
                (*place, ""): share.limit,
            }
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "nvidia"}
    cluster.apply([{**runtime, "metadata": {"name": "nvidia"}}, *objects.shared])
    cluster.apply_all(objects.teams.values())
    cluster.apply_all(objects.members.values())
    cluster.apply_all([[{"kind": "Node", **node}] for node in batch.nodes])
    cluster.wait(lambda: _not_in_force(cluster, list(objects.teams)), "quotas and accounts")
    for share in shares:
        cluster.wait(lambda share=share: _not_filled_in(cluster, share), f"the policies of {share.team}")


def _not_in_force(cluster: Cluster, teams: Sequence[str]) -> list[str]:
    accounts = _names(cluster, "serviceaccounts", lambda one: one["metadata"]["name"] == "default")
    quotas = _names(cluster, "resourcequotas", lambda one: "hard" not in one.get("status", {}))
    return [team for team in (*teams, OUTSIDE) if team not in accounts] + sorted(quotas)


def _names(cluster: Cluster, kind: str, chosen: Callable[[Object], bool]) -> set[str]:
    """The namespaces of the chosen objects."""
    items = cluster.client.get(f"/api/v1/{kind}").raise_for_status().json()["items"]
    return {one["metadata"]["namespace"] for one in items if chosen(one)}


def _not_filled_in(cluster: Cluster, share: TeamShare) -> list[str]:
    """A trial: whether the class that a pod names brings its node selector, and another one is refused."""
    trial = NewPod("trial", share.team, share.pool, "burst", 1, share.team.replace("-t", "-m"))
    path, dry = f"/api/v1/namespaces/{share.team}/pods", {"dryRun": "All"}
    answer = cluster.client.post(path, params=dry, json=trial.manifest, headers=trial.headers)
    if answer.status_code != 201 and "exceeded quota" not in answer.text:
        return [answer.text]
    wrong = {
        **trial.manifest,
        "spec": {**trial.manifest["spec"], "priorityClassName": "system-node-critical"},
    }
    answer = cluster.client.post(path, params=dry, json=wrong, headers=trial.headers)
    return [] if answer.status_code in (403, 422) else ["another PriorityClass is admitted"]


def worst_placement(case: Case) -> list[str]:
    """The nodes of pods with one slice each, which leave no node with room; as far as there are such pods."""
    request, promises = _request(case), case.guarantees
    nodes = [name for name, room in case.nodes.items() for _ in range(room.slices_to_block(request))]
    return nodes[: promises.promised - request]


def _request(case: Case) -> int:
    """The request of the pod that is kept waiting: where none can be, that for which least is missing."""
    if case.guarantees.blocked:
        return case.guarantees.blocked
    rooms = case.nodes.values()
    return min(
        range(1, case.guarantees.largest + 1),
        key=lambda size: sum(room.slices_to_block(size) for room in rooms) + size,
        default=1,
    )


def _place_outside(pools: Iterable[PoolPlay], plans: dict[str, list[str]], cluster: Cluster) -> None:
    """Pods of no team, first on the nodes of the worst placement."""
    pods: list[NewPod] = []
    for one in pools:
        for number in range(sum(one.case.guarantees.outside.values())):
            plan = plans[one.case.pool]
            node = plan.pop(0) if plan else ""
            pods.append(NewPod(f"{one.case.pool}-w{number}", OUTSIDE, one.case.pool, "outside", 1, node=node))
    cluster.create(pods)
    names = {pod.name for pod in pods}
    cluster.wait(
        lambda: [f"{name} has no node" for name in names if not _has_node(cluster, (OUTSIDE, name))][:3],
        "pods of no team",
    )


def _has_node(cluster: Cluster, name: tuple[str, str]) -> bool:
    pod = cluster.pods.by_name.get(name)
    return bool(pod and pod.node)


def _alone(pools: Sequence[PoolPlay], cluster: Cluster) -> None:
    """One team uses its guarantee and bursts while the others use nothing: it gets what the fit says."""
    teams = {one.case.pool: one.random.choice(one.shares) for one in pools}
    for one in pools:
        share = teams[one.case.pool]
        pods = [one.pod(share, "guaranteed", 1) for _ in range(share.guaranteed)]
        pods += [one.pod(share, "burst", 1) for _ in range(share.burst)]
        made = cluster.create(pods)
        one.check(all(made), f"{made.count(False)} of {share.limit} pods of {share.team} were refused")
        one.outcome.refused += cluster.create([one.pod(share, "burst", 1, insists=False)]).count(False)
    _evict_excess(pools, cluster)
    _settle(pools, cluster)
    for one in pools:
        share = teams[one.case.pool]
        own = [*one.pods_of(share, "guaranteed"), *one.pods_of(share, "burst")]
        seen = sum(bool(pod.node) for pod in own)
        said = _room_of(one.case, share)
        if share.per_pod == 1 or not one.case.few_pods:
            one.check(seen == said.alone, f"{share.team} got {seen} alone, the fit said {said.alone}")
        cluster.delete(own)


def _room_of(case: Case, share: TeamShare) -> TeamRoom:
    return next(room for room in case.rooms if room.team == share.team)


def _flood(pools: Sequence[PoolPlay], cluster: Cluster) -> None:
    """Every team bursts as far as its quota allows."""
    for one in pools:
        pods = [
            one.pod(share, "burst", size)
            for share in one.shares
            for size in one.sizes(share.burst - one.slices_of(share, "burst"), share.per_pod)
        ]
        made = cluster.create(pods)
        one.check(all(made), f"{made.count(False)} bursts below the limits were refused")
    _settle(pools, cluster)


def _victim(one: PoolPlay) -> TeamShare | None:
    """A team that may ask for a pod of the size that is tried."""
    size = _request(one.case)
    able = [share for share in one.shares if min(share.per_pod, share.guaranteed) >= size]
    return one.random.choice(able) if able else None


def _place_adversaries(
    pools: Sequence[PoolPlay],
    plans: dict[str, list[str]],
    victims: dict[str, TeamShare | None],
    cluster: Cluster,
) -> None:
    """Guaranteed pods of one slice on the nodes of the worst placement; the victim keeps what it asks for."""
    pods: list[NewPod] = []
    for one in pools:
        victim, plan = victims[one.case.pool], iter(plans[one.case.pool])
        if victim is None:
            continue
        kept = {victim.team: _request(one.case)}
        for share in one.shares:
            own = [next(plan, "") for _ in range(share.guaranteed - kept.get(share.team, 0))]
            pods += [one.pod(share, "guaranteed", 1, node=node) for node in own if node]
    made = cluster.create(pods)
    _check_admitted(pools, pods, made, cluster)
    _all_run(pools, cluster, "the worst placement")


def _check_admitted(
    pools: Sequence[PoolPlay], pods: Sequence[NewPod], made: Sequence[bool], cluster: Cluster
) -> None:
    for pod, admitted in zip(pods, made, strict=True):
        why = cluster.refusals.get((pod.namespace, pod.name), "")
        _play_of(pools, pod.pool).check(admitted, f"{pod.name} was refused below the guarantee: {why}")


def _play_of(pools: Iterable[PoolPlay], pool: str) -> PoolPlay:
    return next(one for one in pools if one.case.pool == pool)


def _ask_for_the_last_slices(
    pools: Sequence[PoolPlay], victims: dict[str, TeamShare | None], cluster: Cluster
) -> None:
    """The victim's pod gets a node where the fit proves it, and waits where the fit refuses."""
    asked: dict[str, NewPod] = {}
    for one in pools:
        if victim := victims[one.case.pool]:
            asked[one.case.pool] = one.pod(victim, "guaranteed", _request(one.case))
    cluster.create(list(asked.values()))
    _all_run([one for one in pools if one.outcome.proven], cluster, "the last guaranteed slices")
    _settle(pools, cluster)
    for one in pools:
        if (pod := asked.get(one.case.pool)) and not one.outcome.proven:
            placed = _has_node(cluster, (pod.namespace, pod.name))
            one.check(not placed, f"the fit refuses, and {pod.name} got a node in the worst placement")


def _use_all_guarantees(pools: Sequence[PoolPlay], cluster: Cluster) -> None:
    """Every team uses its whole guarantee at once, and gets no slice more."""
    _refill(pools, cluster)
    for one in pools:
        for share in one.shares:
            used = sum(pod.slices for pod in one.pods_of(share, "guaranteed") if pod.node)
            said = _room_of(one.case, share).guaranteed
            one.check(used == said, f"{share.team} uses {used} guaranteed, the fit said {said}")
            more = cluster.create([one.pod(share, "guaranteed", 1, insists=False)])
            one.outcome.refused += more.count(False)
    _evict_excess(pools, cluster)


def _refill(pools: Sequence[PoolPlay], cluster: Cluster) -> None:
    pods: list[NewPod] = []
    for one in pools:
        nodes = list(one.case.nodes)
        for share in one.shares:
            missing = share.guaranteed - one.slices_of(share, "guaranteed")
            pods += [
                one.pod(share, "guaranteed", size, likes=one.random.choice(nodes))
                for size in one.sizes(missing, share.per_pod)
            ]
    made = cluster.create(pods)
    _check_admitted(pools, pods, made, cluster)
    _all_run(pools, cluster, "guaranteed pods that came")


def _evict_excess(pools: Iterable[PoolPlay], cluster: Cluster) -> None:
    """Evicts what Kubernetes' quotas admitted by mistake, as `pulumi up` does."""
    for one in pools:
        pods = [
            TeamPod(
                pod.namespace, pod.name, rank, pod.pool, {GPU_RESOURCE: pod.slices}, pod.node, pod.created
            )
            for share in one.shares
            for rank in RANKS
            for pod in one.pods_of(share, rank)
        ]
        if found := evictions(one.shares, pods):
            one.outcome.evicted += len(found)
            names = {(eviction.pod.team, eviction.pod.name) for eviction in found}
            cluster.delete([pod for name, pod in list(cluster.pods.by_name.items()) if name in names])


def _come_and_go(pools: Sequence[PoolPlay], cluster: Cluster) -> None:
    """Some guaranteed pods leave, bursts take their place, and others come."""
    leaving = [
        pod
        for one in pools
        for share in one.shares
        for pod in one.pods_of(share, "guaranteed")
        if one.random.random() < 0.5
    ]
    cluster.delete(leaving)
    _flood(pools, cluster)
    _refill(pools, cluster)


def _all_run(pools: Sequence[PoolPlay], cluster: Cluster, what: str) -> None:
    """Waits until every guaranteed pod has a node, and notes those that have none in time."""
    watched = [(one, share) for one in pools for share in one.shares]

    def waiting() -> list[tuple[PoolPlay, PodState]]:
        return [
            (one, pod) for one, share in watched for pod in one.pods_of(share, "guaranteed") if not pod.node
        ]

    def missing() -> list[str]:
        if found := [f"{pod.name} has no node" for _, pod in waiting()]:
            _evict_excess(pools, cluster)
            return found
        return []

    with _noted(waiting):
        cluster.wait(missing, what)


@contextmanager
def _noted(waiting: Callable[[], list[tuple[PoolPlay, PodState]]]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        for one, pod in waiting():
            one.check(False, f"{pod.name} of {pod.slices} slices stayed Pending: {error}")


def _settle(pools: Iterable[PoolPlay], cluster: Cluster) -> None:
    """Waits until each pod has a node or is judged unschedulable, and none is leaving."""
    names = {one.case.pool for one in pools}

    def unsettled() -> list[str]:
        with cluster.pods.lock:
            return [
                f"{pod.name} is undecided"
                for pod in cluster.pods.by_name.values()
                if pod.pool in names and (pod.leaving or not (pod.node or pod.unschedulable))
            ]

    cluster.wait(unsettled, "decisions of the scheduler")
