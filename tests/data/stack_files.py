"""A valid stack file and changes of it, for the tests of settings and capacity."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from k3sgpu import settings as s

GOOD: dict[str, Any] = {
    "ssh": {"privateKeyFile": "key"},
    "k3s": {"version": "v1.36.2+k3s1", "mirror": "file:///opt/release"},
    "pools": {
        "control": {"role": "server", "hosts": {"server-1": "10.0.0.11"}},
        "rtx": {
            "role": "agent",
            "hosts": {"gpu-1": "10.0.0.21"},
            "gpu": {"product": "NVIDIA-H200", "count": 1, "memoryMiB": 143771, "profile": "six"},
        },
    },
    "sharing": {
        "profiles": {"six": {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 6}]}}}
    },
    "workloads": {"w": {"replicas": 2, "gpus": 2}},
}
SLICING = "sharing.profiles.six.timeSlicing"
RESOURCES = "sharing/profiles/six/timeSlicing/resources"
MPS = {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
A100_40GB = {"pools/rtx/gpu/product": "NVIDIA-A100-SXM4-40GB", "pools/rtx/gpu/memoryMiB": 40960}
MIXED = {"sharing/profiles/six": {"migStrategy": "mixed"}, "workloads": {}}

Refusal = tuple[Mapping[str, Any], str, str, str, str]
"""A change of GOOD, and the path, a piece of `found`, of `expected` and of `remedy` of its only problem."""


class _Remove:
    """A marker that stays the same object when copied."""

    def __deepcopy__(self, memo: object) -> "_Remove":
        return self


REMOVE = _Remove()


def with_(changes: Mapping[str, Any]) -> dict[str, Any]:
    """GOOD with values set at paths such as "a/b/0/c", or removed there (REMOVE)."""
    raw = copy.deepcopy(GOOD)
    for path, value in copy.deepcopy(dict(changes)).items():
        *parents, last = path.split("/")
        here: Any = raw
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
        if isinstance(here, list):
            here[int(last) :] = [value]
        elif value is REMOVE:
            here.pop(last, None)
        else:
            here[last] = value
    return raw


def problems(changes: Mapping[str, Any], secrets: tuple[str, ...] = ()) -> dict[str, s.Problem]:
    """The problems of GOOD with changes, by path."""
    with pytest.raises(s.SettingsError) as refused:
        s.parse(with_(changes), secrets)
    return {problem.where: problem for problem in refused.value.problems}


def the_problem(changes: Mapping[str, Any], secrets: tuple[str, ...] = ()) -> s.Problem:
    """The only problem of GOOD with changes."""
    found = list(problems(changes, secrets).values())
    assert len(found) == 1, s.render(found)
    return found[0]
