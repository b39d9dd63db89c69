"""Whether a cluster that is as expected has settled: a recent change may not have taken effect yet.

- After a change of the ClusterPolicy the operator takes a moment to act; until then everything is as before.
- A new operator pod acts only when it leads, and the lease of the one before it has to end first.
- A new pod of the device plugin is Ready as soon as it starts, also if it ends at once. What a Node offers is
  the kubelet's last report, perhaps of the pod before it.

The times that the API server and the kubelets write show all three. Their clocks may differ from this
computer's, so the wait for each has a limit, counted on this computer's clock as well.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from k3sgpu import timeouts
from k3sgpu.cluster.client import Snapshot
from k3sgpu.cluster.comparison import DAEMON_SETS, POLICY, UnmetExpectation, active_policies, operator_pods
from k3sgpu.cluster.objects import KubernetesObject, condition, is_owned_by, pods_on_node
from k3sgpu.handoff.expected_state import ExpectedState

Time = datetime | None

_PLUGIN = DAEMON_SETS[0]


@dataclass
class Settling:
    """Remembers, during one wait, when each change was found first."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _first_seen: dict[tuple[str, datetime], float] = field(default_factory=dict)

    def unsettled(self, expected: ExpectedState, snapshot: Snapshot) -> list[UnmetExpectation]:
        """Returns the changes that may not have taken effect yet: the operator's first, then the nodes'."""
        return [*self._operator(snapshot), *self._plugins(expected, snapshot)]

    def _operator(self, snapshot: Snapshot) -> Iterator[UnmetExpectation]:
        acts, leads = timeouts.OPERATOR_ACTS_SECONDS, timeouts.OPERATOR_LEADS_SECONDS
        # The plugin's alone: Helm changes other DaemonSets, and the operator some before this one.
        rolled = spec_changed(snapshot.daemon_sets.get(_PLUGIN, {}))
        policy = _latest([spec_changed(one) for one in active_policies(snapshot)])
        if not self._is_over(POLICY, policy, rolled, acts):
            yield UnmetExpectation(
                POLICY, "spec", "changed a moment ago", f"{acts} s for the operator to act"
            )
        operator = _latest([_ready_since(pod) for pod in operator_pods(snapshot)])
        if not self._is_over("operator", operator, rolled, leads):
            yield UnmetExpectation(POLICY, "operator", "a new pod", f"{leads} s for it to take the lead")

    def _plugins(self, expected: ExpectedState, snapshot: Snapshot) -> Iterator[UnmetExpectation]:
        for name in (node["name"] for node in expected["nodes"] if any(node["resources"].values())):
            pods = [pod for pod in pods_on_node(snapshot.pods, name) if is_owned_by(pod, _PLUGIN)]
            started = _latest([_ready_since(pod) for pod in pods])
            reported = status_changed(snapshot.nodes.get(name, {}))
            if not self._is_over(name, started, reported, timeouts.NODE_REPORT_SECONDS):
                yield UnmetExpectation(
                    name,
                    f"DaemonSet {_PLUGIN}",
                    "its pod has just become Ready",
                    f"a report of the kubelet since then, or {timeouts.NODE_REPORT_SECONDS} s",
                )

    def _is_over(self, what: str, changed: Time, answered: Time, seconds: float) -> bool:
        """Whether a change has taken effect since (`answered`), or is `seconds` old."""
        if changed is None or (answered is not None and answered >= changed):
            return True
        known = self.clock() - self._first_seen.setdefault((what, changed), self.clock())
        return max((self.now() - changed).total_seconds(), known) >= seconds


def spec_changed(item: KubernetesObject) -> Time:
    """When somebody last changed an object, its status left out (metadata.managedFields)."""
    return _changed(item, status=False)


def status_changed(item: KubernetesObject) -> Time:
    """When somebody last changed an object's status."""
    return _changed(item, status=True)


def _changed(item: KubernetesObject, *, status: bool) -> Time:
    entries = item.get("metadata", {}).get("managedFields") or ()
    times = [one.get("time") for one in entries if (one.get("subresource") == "status") == status]
    return _latest([_parse(text) for text in times])


def _ready_since(pod: KubernetesObject) -> Time:
    return _parse(condition(pod, "Ready").get("lastTransitionTime"))


def _parse(text: object) -> Time:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _latest(times: Sequence[Time]) -> Time:
    return max((one for one in times if one), default=None)
