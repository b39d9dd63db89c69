"""Labels, compute capabilities, MIG layouts and MPS clients by product."""

from collections.abc import Mapping

import pytest

from k3sgpu.gpu_products import (
    PCI_DEVICES,
    can_be_partitioned,
    compute_capability,
    last_driver_branch,
    mig_layouts,
    mps_clients,
    named_memory_gb,
    product_label,
    product_of_device,
    without_suffixes,
)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        # TestSanitise in internal/lm/resource_test.go of NVIDIA/k8s-device-plugin
        ("a space separated string", "a-space-separated-string"),
        ("some ( thing )else", "some-thing-else"),
        (" input  with multiple   spaces   ", "input-with-multiple-spaces"),
        ("some [ / thing / ]else", "some-thing-else"),
        ("some-thing.else_new", "some-thing.else_new"),
        ("NVIDIA TITAN X (Pascal)", "NVIDIA-TITAN-X-Pascal"),
        ("Quadro RTX 6000/8000", "Quadro-RTX-60008000"),
    ],
)
def test_label_is_that_of_feature_discovery(name: str, label: str) -> None:
    assert product_label(name) == label


@pytest.mark.parametrize(
    "suffix", ["", "-SHARED", "-MIG-1g.5gb", "-MIG-1g.24gb-me", "-MIG-1g.5gb.me-SHARED", "-MIG-INVALID"]
)
def test_suffixes_of_a_label_are_removed(suffix: str) -> None:
    assert without_suffixes(f"NVIDIA-A100-SXM4-40GB{suffix}") == "NVIDIA-A100-SXM4-40GB"


@pytest.mark.parametrize(
    ("label", "capability", "clients"),
    [
        ("Tesla-K80", (3, 7), 16),
        ("Tesla-M60", (5, 2), 16),
        ("NVIDIA-GeForce-GTX-750-Ti", (5, 0), 16),
        ("Tesla-P100-PCIE-16GB", (6, 0), 16),
        ("Tesla-P40", (6, 1), 16),
        ("NVIDIA-TITAN-X-Pascal", (6, 1), 16),
        ("NVIDIA-GeForce-GTX-1080-Ti", (6, 1), 16),
        ("Tesla-V100S-PCIE-32GB", (7, 0), 16),
        ("NVIDIA-TITAN-V", (7, 0), 16),
        ("Quadro-GV100", (7, 0), 16),
        ("Tesla-T4", (7, 5), 48),
        ("Quadro-RTX-60008000", (7, 5), 48),
        ("NVIDIA-GeForce-RTX-2080-Ti", (7, 5), 48),
        ("NVIDIA-GeForce-RTX-2050", (8, 6), 48),
        ("NVIDIA-A100-SXM4-40GB", (8, 0), 48),
        ("NVIDIA-A10G", (8, 6), 48),
        ("NVIDIA-RTX-A6000", (8, 6), 48),
        ("NVIDIA-RTX-6000-Ada-Generation", (8, 9), 48),
        ("NVIDIA-H100-80GB-HBM3", (9, 0), 48),
        ("NVIDIA-GB300", (10, 3), 48),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition", (12, 0), 48),
        ("NVIDIA-GB10", (12, 1), 48),
        ("NVIDIA-A1000X", None, 48),
        ("GRID-V100D-32Q", None, 48),
        ("", None, 48),
    ],
)
def test_capability_and_clients_follow_from_the_label(
    label: str, capability: tuple[int, int] | None, clients: int
) -> None:
    assert compute_capability(label) == capability
    assert mps_clients(label) == clients


@pytest.mark.parametrize(
    ("label", "memory_mib", "sizes"),
    [
        ("NVIDIA-A100-SXM4-40GB", 81920, [40]),  # the name decides
        ("NVIDIA-A100-80GB-PCIe", 81920, [80]),
        ("NVIDIA-A100X", 81920, [80]),
        ("NVIDIA-A100-SXM-64GB", 65536, None),
        ("NVIDIA-A30", 24576, [24]),
        ("NVIDIA-H100-80GB-HBM3", 81559, [80]),
        ("NVIDIA-H100-NVL", 95830, [94, 96]),
        ("NVIDIA-GH200-480GB", 97871, [96]),
        ("NVIDIA-GH200-144G-HBM3e", 146831, [144]),
        ("NVIDIA-H20-3e", 143771, [141]),
        ("NVIDIA-H200-NVL", 143771, [141]),
        ("NVIDIA-B200", 183359, [180]),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 97887, [96]),
        ("NVIDIA-RTX-PRO-5000-Blackwell", 48935, [48, 48]),
        ("NVIDIA-RTX-PRO-5000-72GB-Blackwell", 73311, None),
        ("NVIDIA-RTX-PRO-4500-Blackwell", 32623, [32]),
        ("NVIDIA-L40S", 46068, []),
        ("Tesla-T4", 15360, []),
        ("NVIDIA-GeForce-RTX-5090", 32607, []),
        ("NVIDIA-H300", 200000, None),
    ],
)
def test_layouts_follow_from_label_and_memory(label: str, memory_mib: int, sizes: list[int] | None) -> None:
    layouts = mig_layouts(label, memory_mib)
    assert (layouts if layouts is None else [layout.memory_gb for layout in layouts]) == sizes


@pytest.mark.parametrize(
    ("label", "memory_mib", "partitions", "possible"),
    [
        ("NVIDIA-A100-SXM4-40GB", 40960, {"1g.5gb": 7}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"1g.5gb": 8}, False),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"1g.5gb": 6, "1g.5gb+me": 1}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"3g.20gb": 1, "2g.10gb": 1, "1g.5gb": 2}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"4g.20gb": 1, "3g.20gb": 1}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"3g.20gb": 2}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"3g.20gb": 2, "1g.5gb": 1}, False),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"4g.20gb": 1, "2g.10gb": 1, "1g.5gb": 1}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"4g.20gb": 1, "2g.10gb": 1, "1g.10gb": 1}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"2g.10gb": 3, "1g.5gb": 1}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"2g.10gb": 3, "1g.5gb": 2}, False),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"1g.10gb": 3, "1g.5gb": 2}, True),
        ("NVIDIA-A100-SXM4-40GB", 40960, {"1g.10gb": 4, "1g.5gb": 1}, False),
        ("NVIDIA-A100-80GB-PCIe", 81920, {"1g.10gb": 7}, True),
        ("NVIDIA-A30", 24576, {"1g.6gb": 4}, True),
        ("NVIDIA-A30", 24576, {"1g.6gb": 5}, False),
        ("NVIDIA-A30", 24576, {"2g.12gb": 1, "1g.6gb": 2}, True),
        ("NVIDIA-A30", 24576, {"2g.12gb+me": 1, "1g.6gb+me": 1}, False),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 97887, {"1g.24gb+gfx": 2, "2g.48gb-me": 1}, True),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 97887, {"1g.24gb+me.all": 1, "1g.24gb-me": 3}, True),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 97887, {"1g.24gb+me.all": 1, "1g.24gb": 1}, False),
        ("NVIDIA-RTX-PRO-5000-Blackwell", 48935, {"1g.24gb": 2}, True),
        ("NVIDIA-RTX-PRO-5000-Blackwell", 48935, {"1g.12gb-me": 3}, True),
        ("NVIDIA-RTX-PRO-5000-Blackwell", 48935, {"1g.24gb": 1, "1g.12gb-me": 1}, False),
    ],
)
def test_partitions_need_places_that_do_not_overlap(
    label: str, memory_mib: int, partitions: Mapping[str, int], possible: bool
) -> None:
    layouts = mig_layouts(label, memory_mib)
    assert layouts
    assert any(can_be_partitioned(layout, partitions) for layout in layouts) == possible


@pytest.mark.parametrize(
    ("label", "branch"),
    [
        ("Tesla-K80", 470),
        ("Tesla-M60", 580),
        ("NVIDIA-TITAN-V", 580),
        ("NVIDIA-GeForce-GTX-1660", None),
        ("Tesla-T4", None),
        ("NVIDIA-X1000", None),
    ],
)
def test_last_driver_branch_follows_the_architecture(label: str, branch: int | None) -> None:
    assert last_driver_branch(label) == branch


@pytest.mark.parametrize(
    ("label", "sizes"),
    [
        ("NVIDIA-A100-SXM4-40GB", {40}),
        ("NVIDIA-H100-80GB-HBM3", {80}),
        ("NVIDIA-GH200-144G-HBM3e", {144}),
        ("NVIDIA-GH200-480GB", set()),
        ("NVIDIA-GeForce-RTX-4090", set()),
    ],
)
def test_memory_is_read_from_the_label(label: str, sizes: set[int]) -> None:
    assert named_memory_gb(label) == sizes


@pytest.mark.parametrize("device", PCI_DEVICES)
def test_a_pci_device_is_a_known_product(device: str) -> None:
    found = product_of_device(device)
    assert found
    label, memory_mib = found
    assert product_label(label) == label
    assert compute_capability(label)
    assert all(abs(memory_mib - size * 1024) < 0.1 * memory_mib for size in named_memory_gb(label))
