"""Fits of changed stack files, for the tests of capacity."""

from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from tests.data.stack_files import with_

NO_MATCH = "node(s) didn't match Pod's node affinity/selector"
ON_GPU_2 = {"kubernetes.io/hostname": "gpu-2"}
SECOND_NODE = {"pools/rtx/hosts/gpu-2": "10.0.0.22"}
WHOLE = {
    "role": "agent",
    "hosts": {"gpu-9": "10.0.0.29"},
    "gpu": {"product": "NVIDIA-H200", "count": 2, "memoryMiB": 143771},
}


def fit_of_settings(settings: s.Settings) -> capacity.Fit:
    """The fit of these settings on what their nodes will offer."""
    return capacity.fit(settings, capacity.offers(settings))


def fit_of(changes: dict[str, Any]) -> capacity.Fit:
    """The fit of the good file (a server, a node with six slices, two pods of two) with these changes."""
    return fit_of_settings(s.parse(with_(changes)))


def the_problem(fit: capacity.Fit) -> s.Problem:
    """The only one there is."""
    assert len(fit.problems) == 1, s.render(fit.problems)
    return fit.problems[0]
