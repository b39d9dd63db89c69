"""The answer of `free`, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from k3sgpu.capacity.node_usage import requested_resources
from k3sgpu.cluster.members.pools import RANKS, PoolView
from k3sgpu.cluster.members.view import MemberView
from k3sgpu.cluster.objects import KubernetesObject, has_ended, pod_state, status_of
from k3sgpu.foreign_text import escape
from k3sgpu.teams.facts import HoursFacts


def as_text(view: MemberView, pools: Sequence[PoolView]) -> str:
    """The answer for people; every line of it is printable."""
    who = (
        f"team {view.team}, member {view.member}" if view.member else f"team {view.team} (you are no member)"
    )
    parts = [f"{who}\n{_time_limit(view.facts['teams'][view.team]['hours'])}"]
    parts += [_pool(pool) for pool in pools] or ["the team has no share of any pool: ask the administrator"]
    if pods := [pod for pod in view.pods if not has_ended(pod)]:
        rows = [("POD", "SLICES", "PRIORITY CLASS", "NODE", "STATE"), *map(_pod_row, pods)]
        parts.append("\n".join([f"pods of team {view.team}", *_columns(rows)]))
    return "\n\n".join(parts)


def as_json(view: MemberView, pools: Sequence[PoolView]) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "team": view.team,
        "member": view.member or None,
        "hours": view.facts["teams"][view.team]["hours"],
        "pools": [_pool_json(pool) for pool in pools],
        "pods": [_pod_json(pod) for pod in view.pods if not has_ended(pod)],
    }


def _pool(pool: PoolView) -> str:
    share = pool.share
    ready = [node for node in pool.nodes if not node.trouble]
    nodes = f"{len(ready)} of {len(pool.nodes)} nodes"
    lines = [
        f"pool {share.pool}, {share.resource}: {pool.slices} slices on {nodes}",
        *(f"  {node.name} takes no pods: {escape(node.trouble)}" for node in pool.nodes if node.trouble),
    ]
    rows = [("", "FREE FOR YOU", "LARGEST POD", "PRIORITY CLASS", "")]
    for rank, free in pool.free.items():
        largest = str(free.surely)
        if free.perhaps > free.surely:
            largest += f", perhaps {free.perhaps}"
        rows.append((rank, str(free.slices), largest, free.priority_class, f"bounded by {free.bound}"))
    lines += _columns(rows)
    if pool.member:
        lines.append(f"  you use {pool.member.used} of the {pool.member.hard} slices that one member may use")
    rows = [("BOOKED", "GUARANTEED", "BURST")]
    for one in pool.bookings:
        guaranteed, burst = (f"{count.used} of {count.hard}" for count in (one.guaranteed, one.burst))
        rows.append((f"team {one.team}", guaranteed, burst))
    if pool.outside:
        rows.append(("no team", f"{pool.outside} at most", ""))
    return "\n".join([*lines, *_columns(rows)])


def _time_limit(hours: HoursFacts | None) -> str:
    if hours is None:
        return "a pod may run as long as it likes"
    if hours["default"] == hours["max"]:
        return f"a pod may run for {hours['max']} h"
    return (
        f"a pod runs for {hours['default']} h, or for what its activeDeadlineSeconds says: "
        f"{hours['max']} h ({hours['max'] * 3600} s) at most"
    )


def _pod_row(pod: KubernetesObject) -> tuple[str, ...]:
    facts = _pod_json(pod)
    ends = f", ends {facts['ends']}" if facts["ends"] else ""
    slices = ", ".join(
        str(count) if resource == "nvidia.com/gpu" else f"{count} {resource}"
        for resource, count in facts["slices"].items()
    )
    texts = (facts["name"], slices or "0", facts["priorityClass"] or "-", facts["node"] or "-")
    return tuple(map(escape, (*texts, f"{facts['state']}{ends}")))


def _pod_json(pod: KubernetesObject) -> dict[str, Any]:
    spec = pod["spec"]
    return {
        "name": pod["metadata"]["name"],
        "slices": {name: count for name, count in requested_resources(pod).items() if count},
        "priorityClass": spec.get("priorityClassName"),
        "node": spec.get("nodeName"),
        "state": short_state(pod),
        "ends": _end(pod),
    }


def short_state(pod: KubernetesObject) -> str:
    """What a pod is doing, in a word or two."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    phase = status_of(pod).get("phase", "Unknown")
    ready = any(
        one.get("type") == "Ready" and one.get("status") == "True"
        for one in status_of(pod).get("conditions") or []
    )
    return phase if phase != "Running" or ready else pod_state(pod)


def _end(pod: KubernetesObject) -> str | None:
    """When the time limit ends the pod; None where it has none or has not started."""
    seconds = pod["spec"].get("activeDeadlineSeconds")
    started = status_of(pod).get("startTime")
    if not seconds or not started:
        return None
    try:
        end = datetime.fromisoformat(started) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def _pool_json(pool: PoolView) -> dict[str, Any]:
    share = pool.share
    return {
        "pool": share.pool,
        "resource": share.resource,
        "perPod": share.per_pod,
        "nodes": [asdict(node) for node in pool.nodes],
        "outside": pool.outside,
        "free": {
            rank: {
                "slices": free.slices,
                "largestPod": free.surely,
                "largestPodPerhaps": free.perhaps,
                "bound": free.bound,
                "priorityClass": free.priority_class,
            }
            for rank, free in ((rank, pool.free[rank]) for rank in RANKS)
        },
        "member": asdict(pool.member) if pool.member else None,
        "booked": {
            one.team: {"guaranteed": asdict(one.guaranteed), "burst": asdict(one.burst)}
            for one in pool.bookings
        },
    }


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines whose columns stand below one another, by two spaces to the right."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
