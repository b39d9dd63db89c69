"""What nodes offer, and the device plugin's files: deterministic, and the same as seen on a real card."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.handoff import expected_state
from tests.data.stack_files import RESOURCES, with_
from tests.unit.capacity.fits import fit_of_settings

SLICING = "sharing/profiles/six/timeSlicing"
PRODUCT = "nvidia.com/gpu.product"


def gpu_node(changes: dict[str, Any]) -> capacity.NodeOffer:
    """gpu-1 of the good stack file, changed."""
    return next(offer for offer in capacity.offers(s.parse(with_(changes))) if offer.name == "gpu-1")


@pytest.mark.parametrize(
    ("changes", "resources", "replicas", "product", "strategy"),
    [
        ({}, {"nvidia.com/gpu": 6}, 6, "NVIDIA-H200-SHARED", "time-slicing"),
        ({"pools/rtx/gpu/count": 4}, {"nvidia.com/gpu": 24}, 6, "NVIDIA-H200-SHARED", "time-slicing"),
        ({"pools/rtx/gpu/profile": "none"}, {"nvidia.com/gpu": 1}, 1, "NVIDIA-H200", "none"),
        (
            {f"{SLICING}/renameByDefault": True, "workloads": {}},
            {"nvidia.com/gpu": 0, "nvidia.com/gpu.shared": 6},
            6,
            "NVIDIA-H200",
            "time-slicing",
        ),
    ],
    ids=["sliced", "more cards", "whole", "renamed"],
)
def test_what_a_gpu_node_offers(
    changes: dict[str, Any], resources: dict[str, int], replicas: int, product: str, strategy: str
) -> None:
    offer = gpu_node(changes)
    assert offer.resources == resources
    assert offer.max_replicas == replicas
    # As gpu-feature-discovery v0.19.0 labelled a real H200 with these files.
    assert offer.discovered_labels == {
        PRODUCT: product,
        "nvidia.com/gpu.count": str(offer.cards),
        "nvidia.com/gpu.replicas": str(replicas),
        "nvidia.com/gpu.sharing-strategy": strategy,
        "nvidia.com/mps.capable": "false",
    }


# The article's profile for an A100, and a card cut as people cut it.
A100 = {
    "sharing/profiles/a100": {
        "migStrategy": "mixed",
        "timeSlicing": {
            "resources": [
                {"name": "nvidia.com/gpu", "replicas": 8},
                {"name": "nvidia.com/mig-1g.5gb", "replicas": 2},
                {"name": "nvidia.com/mig-3g.20gb", "replicas": 3},
            ]
        },
    },
    "pools/rtx/gpu": {"product": "A100", "count": 2, "memoryMiB": 40960, "profile": "a100"},
    "workloads": {},
}
CUT = {**A100, "pools/rtx/gpu/mig": {"1g.5gb": 4, "3g.20gb": 1}}


def test_a_cut_card_offers_its_partitions() -> None:
    offer = gpu_node(CUT)
    assert offer.resources == {"nvidia.com/mig-1g.5gb": 16, "nvidia.com/mig-3g.20gb": 6}
    assert offer.discovered_labels == {
        "nvidia.com/gpu.product": "A100",
        "nvidia.com/gpu.count": "2",
        "nvidia.com/gpu.replicas": "0",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.strategy": "mixed",
        "nvidia.com/mps.capable": "false",
        "nvidia.com/mig-1g.5gb.product": "A100-MIG-1g.5gb-SHARED",
        "nvidia.com/mig-1g.5gb.count": "8",
        "nvidia.com/mig-1g.5gb.replicas": "2",
        "nvidia.com/mig-1g.5gb.sharing-strategy": "time-slicing",
        "nvidia.com/mig-3g.20gb.product": "A100-MIG-3g.20gb-SHARED",
        "nvidia.com/mig-3g.20gb.count": "2",
        "nvidia.com/mig-3g.20gb.replicas": "3",
        "nvidia.com/mig-3g.20gb.sharing-strategy": "time-slicing",
    }
    slices = {share.partition: share.mib_per_slice for share in offer.resource_offers}
    assert slices == {"1g.5gb": 2250, "3g.20gb": 6000}


def test_what_is_renamed_leaves_an_empty_name_behind_and_the_rest_keeps_its_own() -> None:
    slicing = "sharing/profiles/a100/timeSlicing"
    offer = gpu_node(
        {
            **CUT,
            f"{slicing}/renameByDefault": True,
            f"{slicing}/resources": [{"name": "mig-1g.5gb", "replicas": 2}],
        }
    )
    assert offer.resources == {
        "nvidia.com/mig-1g.5gb": 0,
        "nvidia.com/mig-1g.5gb.shared": 16,
        "nvidia.com/mig-3g.20gb": 2,
    }
    assert offer.discovered_labels["nvidia.com/mig-1g.5gb.product"] == "A100-MIG-1g.5gb"
    assert offer.discovered_labels["nvidia.com/mig-3g.20gb.sharing-strategy"] == "none"


def test_partitions_all_alike_go_by_the_cards_name() -> None:
    profile = {
        "migStrategy": "single",
        "timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 2}]},
    }
    offer = gpu_node({**A100, "sharing/profiles/a100": profile, "pools/rtx/gpu/mig": {"1g.10gb+me": 4}})
    assert offer.resources == {"nvidia.com/gpu": 16}
    assert offer.discovered_labels == {
        "nvidia.com/gpu.product": "A100-MIG-1g.10gb.me-SHARED",
        "nvidia.com/gpu.count": "8",
        "nvidia.com/gpu.replicas": "2",
        "nvidia.com/gpu.sharing-strategy": "time-slicing",
        "nvidia.com/mig.strategy": "single",
        "nvidia.com/mps.capable": "false",
    }


def test_a_whole_card_offers_itself_whatever_else_its_profile_names() -> None:
    offer = gpu_node(A100)
    assert offer.resources == {"nvidia.com/gpu": 16}
    assert offer.discovered_labels["nvidia.com/gpu.product"] == "A100-SHARED"


def test_mps() -> None:
    profile = {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}
    changes = {"sharing/profiles/six": profile, "workloads": {}}
    offer = gpu_node(changes)
    assert offer.resources == {"nvidia.com/gpu": 4}
    # As gpu-feature-discovery v0.19.0 labelled a real H200.
    assert offer.discovered_labels == {
        "nvidia.com/gpu.product": "NVIDIA-H200-SHARED",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.replicas": "4",
        "nvidia.com/gpu.sharing-strategy": "mps",
        "nvidia.com/mps.capable": "true",
    }
    assert yaml.safe_load(text_of(changes)) == {
        "version": "v1",
        "sharing": {
            "mps": {
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
            }
        },
    }


def test_a_node_without_a_gpu_offers_nothing() -> None:
    server = next(offer for offer in capacity.offers(s.parse(with_({}))) if offer.name == "server-1")
    assert (server.resources, server.cards, server.product, server.memory_mib) == ({}, 0, None, None)
    assert server.labels == {"kubernetes.io/hostname": "server-1"}
    assert server.discovered_labels == {}


def test_a_bare_cluster_offers_nothing() -> None:
    assert gpu_node({"gpuOperator/enabled": False, "workloads": {}}).resources == {}


def test_nobody_counts_on_a_node_in_maintenance() -> None:
    hosts = {"gpu-1": "10.0.0.21", "gpu-2": {"address": "10.0.0.22", "maintenance": True}}
    parsed = s.parse(with_({"pools/rtx/hosts": hosts, "workloads/w/replicas": 4}))
    fit = fit_of_settings(parsed)
    assert {offer.name: offer.resources for offer in fit.offers if offer.cards} == {
        "gpu-1": {"nvidia.com/gpu": 6},
        "gpu-2": {},
    }
    assert fit.fits is False  # the eight slices would be there
    assert "profile six, in maintenance, pool rtx" in capacity.render_slice_map(fit)
    promised = expected_state.build_expected_state(parsed, capacity.offers(parsed))
    assert [node["name"] for node in promised["nodes"]] == ["gpu-1", "server-1"]
    # It stays what it was: its labels are not taken away.
    assert len([offer for offer in capacity.offers(parsed) if offer.product]) == 2


def test_a_server_may_offer_as_well() -> None:
    gpu = {"product": "A", "count": 2, "memoryMiB": 100}
    offers = capacity.offers(s.parse(with_({"pools/control/gpu": gpu})))
    assert [offer.resources for offer in offers] == [{"nvidia.com/gpu": 6}, {"nvidia.com/gpu": 2}]


def test_labels_the_program_sets() -> None:
    key = next(key for key in capacity.config_map_data(s.parse(with_({}))) if key != "none")
    assert gpu_node({}).labels == {
        "kubernetes.io/hostname": "gpu-1",
        "accelerator": "NVIDIA-H200",
        "nvidia.com/device-plugin.config": key,
    }
    assert gpu_node({"pools/rtx/gpu/profile": "none"}).labels["nvidia.com/device-plugin.config"] == "none"


def text_of(changes: dict[str, Any]) -> str:
    """The plugin's file for the profile six."""
    return capacity.device_plugin_config(s.parse(with_({"workloads": {}, **changes})).sharing.profiles["six"])


def test_the_plugins_file() -> None:
    assert text_of({}) == (
        "version: v1\nsharing:\n  timeSlicing:\n"
        "    resources:\n    - name: nvidia.com/gpu\n      replicas: 6\n"
    )
    assert text_of({"sharing/profiles/six": {}}) == "version: v1\n"
    flags = {f"{SLICING}/renameByDefault": True, f"{SLICING}/failRequestsGreaterThanOne": True}
    slicing = yaml.safe_load(text_of(flags))["sharing"]["timeSlicing"]
    assert slicing["renameByDefault"] is True and slicing["failRequestsGreaterThanOne"] is True


def test_the_strategy_for_partitions_stands_in_the_file() -> None:
    assert text_of({"sharing/profiles/six": {"migStrategy": "single"}}) == (
        "version: v1\nflags:\n  migStrategy: single\n"
    )


def test_files_that_mean_the_same_are_the_same() -> None:
    spelled = {f"{SLICING}/renameByDefault": False, f"{SLICING}/failRequestsGreaterThanOne": False}
    assert text_of(spelled) == text_of({}) == text_of({f"{RESOURCES}/0/name": "gpu"})


def test_keys_change_with_the_text_and_only_with_it() -> None:
    six, eight = text_of({}), text_of({f"{RESOURCES}/0/replicas": 8})
    assert capacity.config_key("a", six) == capacity.config_key("a", six) != capacity.config_key("a", eight)
    assert capacity.config_key("none", "version: v1\n") == "none"


def test_the_config_map_holds_every_profile() -> None:
    data = capacity.config_map_data(s.parse(with_({"sharing/profiles/idle": {}})))
    assert [key.rpartition("-")[0] or key for key in data] == ["idle", "none", "six"]
    assert data["none"] == "version: v1\n"


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,52}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: name != "none"
)


@settings(max_examples=40, deadline=None)
@given(NAMES, st.integers(2, 10_000), st.integers(1, 16))
def test_any_profile_gives_a_usable_key_and_a_file_that_says_so(name: str, replicas: int, cards: int) -> None:
    profile = {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": replicas}]}}
    parsed = s.parse(
        with_(
            {
                "sharing": {"profiles": {name: profile}},
                "pools/rtx/gpu/profile": name,
                "pools/rtx/gpu/count": cards,
            }
        )
    )
    offer = next(offer for offer in capacity.offers(parsed) if offer.cards)
    key = offer.labels["nvidia.com/device-plugin.config"]
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", key)
    (shared,) = yaml.safe_load(capacity.config_map_data(parsed)[key])["sharing"]["timeSlicing"]["resources"]
    assert shared == {"name": "nvidia.com/gpu", "replicas": replicas}
    assert offer.resources == {"nvidia.com/gpu": cards * replicas}
