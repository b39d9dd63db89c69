"""The expectations that a proof on a real card gets."""

import pytest

from k3sgpu import settings as s
from rehearsal.process import RehearsalError
from rehearsal.proof import __main__
from tests.data.stack_files import REMOVE, with_

SLICED = {
    "plain": {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 6}]}},
    "renamed": {
        "timeSlicing": {
            "renameByDefault": True,
            "failRequestsGreaterThanOne": True,
            "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
        }
    },
    "together": {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}},
}


def profiles(settings: s.Settings) -> dict[str, dict]:
    return {profile["name"]: profile for profile in __main__.plan(settings)["profiles"]}


def test_every_profile_is_computed_for_one_card_of_unknown_product():
    planned = profiles(s.parse(with_({"sharing/profiles": SLICED, "pools/rtx/gpu/profile": "plain"})))
    assert planned.keys() == {"none", "plain", "renamed", "together"}
    assert planned["none"]["resources"] == {"nvidia.com/gpu": 1}
    assert planned["none"]["labels"]["nvidia.com/gpu.product"] == "CARD"
    assert planned["plain"]["resources"] == {"nvidia.com/gpu": 6}
    assert planned["plain"]["labels"]["nvidia.com/gpu.product"] == "CARD-SHARED"
    assert planned["plain"]["strategy"] == "time-slicing"
    assert not planned["plain"]["oneOnly"]
    assert planned["renamed"]["resources"] == {"nvidia.com/gpu": 0, "nvidia.com/gpu.shared": 4}
    assert planned["renamed"]["labels"]["nvidia.com/gpu.product"] == "CARD"
    assert planned["renamed"]["oneOnly"]
    assert planned["together"]["strategy"] == "mps"
    assert planned["together"]["labels"]["nvidia.com/mps.capable"] == "true"
    assert planned["together"]["oneOnly"]


def test_a_stack_without_cards_is_refused():
    with pytest.raises(RehearsalError, match="no pool"):
        __main__.plan(s.parse(with_({"pools/rtx": REMOVE, "workloads": {}})))
