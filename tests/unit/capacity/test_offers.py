"""What nodes offer, and the device plugin's files: deterministic, and the same as seen on a real card."""

from typing import Any

import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.handoff import expected_state
from tests.data.stack_files import with_
from tests.unit.capacity.fits import WHOLE, fit_of, fit_of_settings

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
def test_gpu_node_offers_slices_and_labels(
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


def test_partitioned_card_offers_its_partitions() -> None:
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


def test_renamed_resource_keeps_its_old_name_with_zero() -> None:
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


def test_single_strategy_offers_partitions_as_cards() -> None:
    profile = {
        "migStrategy": "single",
        "timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 2}]},
    }
    offer = gpu_node({**A100, "sharing/profiles/a100": profile, "pools/rtx/gpu/mig": {"1g.5gb+me": 1}})
    assert offer.resources == {"nvidia.com/gpu": 4}
    assert offer.discovered_labels == {
        "nvidia.com/gpu.product": "A100-MIG-1g.5gb.me-SHARED",
        "nvidia.com/gpu.count": "2",
        "nvidia.com/gpu.replicas": "2",
        "nvidia.com/gpu.sharing-strategy": "time-slicing",
        "nvidia.com/mig.strategy": "single",
        "nvidia.com/mps.capable": "false",
    }


def test_whole_card_ignores_partitions_of_its_profile() -> None:
    offer = gpu_node(A100)
    assert offer.resources == {"nvidia.com/gpu": 16}
    assert offer.discovered_labels["nvidia.com/gpu.product"] == "A100-SHARED"


def test_mps_offers_slices_and_labels() -> None:
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


def test_node_without_gpu_offers_nothing() -> None:
    server = next(offer for offer in capacity.offers(s.parse(with_({}))) if offer.name == "server-1")
    assert (server.resources, server.cards, server.product, server.memory_mib) == ({}, 0, None, None)
    assert server.labels == {"kubernetes.io/hostname": "server-1"}
    assert server.discovered_labels == {}


def test_cluster_without_gpu_operator_offers_nothing() -> None:
    assert gpu_node({"gpuOperator/enabled": False, "workloads": {}}).resources == {}


def test_node_in_maintenance_is_not_counted() -> None:
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


def test_server_with_gpu_offers_slices() -> None:
    gpu = {"product": "A", "count": 2, "memoryMiB": 100}
    offers = capacity.offers(s.parse(with_({"pools/control/gpu": gpu})))
    assert [offer.resources for offer in offers] == [{"nvidia.com/gpu": 6}, {"nvidia.com/gpu": 2}]


def test_program_sets_accelerator_and_config_labels() -> None:
    key = next(key for key in capacity.config_map_data(s.parse(with_({}))) if key != "none")
    assert gpu_node({}).labels == {
        "kubernetes.io/hostname": "gpu-1",
        "accelerator": "NVIDIA-H200",
        "nvidia.com/device-plugin.config": key,
    }
    assert gpu_node({"pools/rtx/gpu/profile": "none"}).labels["nvidia.com/device-plugin.config"] == "none"


def test_only_pools_named_by_a_workload_are_labelled() -> None:
    label = "k3s-gpu-sharing/pool"
    plain, named = (
        {
            offer.name: offer.program_labels.get(label)
            for offer in fit_of({"pools/whole": WHOLE, **more}).offers
        }
        for more in ({}, {"workloads/w/pool": "rtx"})
    )
    assert set(plain.values()) == {None}
    assert named == {"server-1": None, "gpu-1": "rtx", "gpu-9": None}
