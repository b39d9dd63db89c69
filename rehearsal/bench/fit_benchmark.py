"""Part (f): the fit by size of the stack, in this process."""

import time
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.bench.measure import Goal, Part, Series

SIZES = ((10, 100), (100, 1000), (300, 3000), (1000, 10000))
CASES = {"all fit": (12, (1,)), "small and large pods": (15, (1, 2)), "no room, remedies": (6, (1, 2, 3))}
ABOUT = """\
`capacity.fit` on stacks with this many nodes (one card each) and pods in eight workloads: equal pods; pods of
one and of two slices, which fit in some orders only; and more pods than slices, so that it searches remedies.
Processor time of this process."""


def measure(rounds: int) -> Part:
    """Measures all cases in all sizes."""
    series = []
    for name, (slices, requests) in CASES.items():
        for nodes, pods in SIZES:
            stack = s.parse(config(nodes, pods, slices, requests))
            taken = []
            for _ in range(rounds):
                began = time.process_time()
                capacity.fit(stack, capacity.offers(stack))
                taken.append(time.process_time() - began)
            series.append(Series(f"{nodes:,} nodes × {pods:,} pods", name, tuple(taken)))
    slowest = max(one.median for one in series)
    goal = Goal("1,000 nodes × 10,000 pods in about a second (≤ 1.5 s)", slowest <= 1.5, f"{slowest:.2f} s")
    return Part("f", "Does it fit?", ABOUT, "", tuple(series), (goal,))


def config(nodes: int, pods: int, slices: int, requests: tuple[int, ...]) -> dict[str, Any]:
    """The configuration of a stack of this size."""
    gpu = {"product": "NVIDIA-H200", "count": 1, "memoryMiB": 143771, "profile": "shared"}
    hosts = {f"gpu-{n}": f"10.9.{n // 200}.{n % 200 + 1}" for n in range(nodes)}
    shared = {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": slices}]}}
    workloads = {f"w{n}": {"replicas": pods // 8, "gpus": requests[n % len(requests)]} for n in range(8)}
    return {
        "ssh": {"agent": True},
        "k3s": {"version": "v1.36.2+k3s1", "mirror": "file:///opt/standin/release"},
        "pools": {
            "control": {"role": "server", "hosts": {"server-1": "10.8.0.1"}},
            "gpus": {"role": "agent", "hosts": hosts, "gpu": gpu},
        },
        "sharing": {"profiles": {"shared": shared}},
        "workloads": workloads,
    }
