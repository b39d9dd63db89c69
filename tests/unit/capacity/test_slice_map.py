"""The slice map, and the command that prints it."""

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.capacity.render.summary import WIDTH
from tests.data.stack_files import GOOD, RESOURCES, with_
from tests.unit.capacity.fits import fit_of_settings

ROOT = Path(__file__).resolve().parents[3]


def picture_of(changes: dict[str, Any]) -> str:
    """Of the good file, changed."""
    return capacity.render_slice_map(fit_of_settings(s.parse(with_(changes))))


def test_map_of_the_article() -> None:
    fit = fit_of_settings(s.read_stack_file(ROOT / "Pulumi.dev.yaml"))
    assert capacity.render_slice_map(fit) == (
        """\
gpu-1  NVIDIA-GeForce-RTX-2080-Ti, profile 2080ti-12gb, nvidia.com/gpu, pool rtx
  card 0  [A1][A1][A2][A2][  ][  ]
          4 of 6 slices taken, 2 free; 11264 MiB, about 1877 MiB a slice

no GPU: server-1

A1  nvidia-plugin-test-2#1  2 nvidia.com/gpu on gpu-1
A2  nvidia-plugin-test-2#2  2 nvidia.com/gpu on gpu-1

4 of 6 slices taken (nvidia.com/gpu)
Profile 2080ti-12gb: time-slicing walls off faults, and only promises memory (one pod can take all;
  the MiB assume equal use) and time (6 times slower beside an endless kernel on an H200).

The pods fit in any order.
Rolling update: every new pod finds room, however many Deployments are updated at once.
Without gpu-1: 2 of 2 pods stay Pending.
"""
    )


def test_mps_says_what_is_no_wall() -> None:
    mps = {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 6}]}}
    text = " ".join(picture_of({"sharing/profiles/six": mps, "workloads/w/gpus": 1}).split())
    assert "Profile six: MPS divides memory" in text and "faults (a fault in one pod" in text


def test_slices_go_to_the_emptiest_card() -> None:
    text = picture_of({"pools/rtx/gpu/count": 2, f"{RESOURCES}/0/replicas": 3})
    assert "card 0  [A1][A2][  ]" in text and "card 1  [A1][A2][  ]" in text


def test_reserved_slices_are_shown() -> None:
    text = picture_of({"pools/rtx/reserved": {"nvidia.com/gpu": 1}})
    assert "[x ][A1][A1][A2][A2][  ]" in text and "5 of 6 slices taken" in text
    assert "x   outside the stack, on gpu-1  1 nvidia.com/gpu on gpu-1" in text


def test_unshared_card_is_one_cell() -> None:
    text = picture_of({"pools/rtx/gpu/profile": "none", "workloads/w": {}})
    assert "[A1]\n          taken; 143771 MiB, not shared" in text
    assert "1 of 1 cards taken (nvidia.com/gpu)" in text and "walls off" not in text


def test_partitions_are_shown_apart() -> None:
    profile = {
        "migStrategy": "mixed",
        "timeSlicing": {"resources": [{"name": "mig-1g.18gb", "replicas": 2}]},
    }
    text = picture_of(
        {
            "sharing/profiles/six": profile,
            "pools/rtx/gpu/mig": {"1g.18gb": 2, "3g.71gb": 1},
            "workloads/w": {"replicas": 3, "gpus": 1, "resource": "nvidia.com/mig-1g.18gb"},
        }
    )
    assert "1g.18gb 0  [A1][A3]\n" in text and "1g.18gb 1  [A2][  ]\n" in text
    assert "1 of 2 slices taken, 1 free; about 16200 MiB, about 8100 MiB a slice" in text
    assert "3g.71gb 0  [  ]\n             free; about 63900 MiB, not shared" in text
    assert "3 of 4 slices taken (nvidia.com/mig-1g.18gb)" in text
    assert "0 of 1 partitions taken (nvidia.com/mig-3g.71gb)" in text


def test_mps_has_its_own_memory_note() -> None:
    profile = {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}}
    text = picture_of({"sharing/profiles/six": profile, "workloads/w/gpus": 1})
    assert "Time-slicing" not in text and "MPS" in text


def test_pending_pods_are_listed_with_messages() -> None:
    text = picture_of({"workloads/w/replicas": 4})
    assert "Pending (1):\n  w#4  0/2 nodes are available: 2 Insufficient nvidia.com/gpu." in text


def test_map_without_gpus() -> None:
    pools = {"control": GOOD["pools"]["control"]}
    assert (
        picture_of({"pools": pools, "workloads": {}}) == "no GPU: server-1\n\nno slices: no node has a GPU\n"
    )


def test_placements_of_a_running_cluster_can_be_shown() -> None:
    fit = fit_of_settings(s.parse(with_({"workloads/w/replicas": 9})))
    text = capacity.render_slice_map(
        fit, [capacity.Placement("w-5d9c-x7k2p", "w", "gpu-1", "nvidia.com/gpu", 3)]
    )
    assert "[A1][A1][A1][  ]" in text and "A1  w-5d9c-x7k2p  3 nvidia.com/gpu on gpu-1" in text
    assert "3 of 6 slices taken" in text and "Pending" not in text


def test_more_slices_taken_than_offered_can_be_shown() -> None:
    """After 6 slices became 2, running pods keep what they have."""
    fit = fit_of_settings(s.parse(with_({f"{RESOURCES}/0/replicas": 2, "workloads": {}})))
    text = capacity.render_slice_map(fit, [capacity.Placement("p", "w", "gpu-1", "nvidia.com/gpu", 4)])
    assert "[A1][A1][A1][A1]" in text and "4 of 2 slices taken, 0 free" in text


def test_more_than_sixteen_nodes_have_a_line_each() -> None:
    hosts = {f"gpu-{n}": f"10.1.0.{n}" for n in range(1, 18)}
    assert "gpu-17           [......" in picture_of({"pools/rtx/hosts": hosts, "workloads/w/replicas": 2})
    del hosts["gpu-17"]
    assert "card 0  [A1]" in picture_of({"pools/rtx/hosts": hosts, "workloads/w/replicas": 2})


def test_large_cluster_has_one_line_per_node_and_workload() -> None:
    hosts = {f"gpu-{n}": f"10.1.0.{n}" for n in range(1, 101)}
    text = picture_of({"pools/rtx/hosts": hosts, "workloads/w/replicas": 150})
    assert len(text.splitlines()) < 115
    assert "Without any one of gpu-1 to gpu-100 (100 alike): all pods find room again." in text
    assert "A  w  150 pods, 300 nvidia.com/gpu" in text and "300 of 600 slices taken" in text
    assert "[#############.......] 4 of 6" in text


def test_pictures_do_not_grow_with_the_numbers() -> None:
    changes = {
        "pools/rtx/gpu/count": 8,
        f"{RESOURCES}/0/replicas": 1000,
        "workloads": {f"w{n}": {"replicas": 10_000, "gpus": 1 + n % 3, "memoryMiB": 10} for n in range(100)},
    }
    fit = fit_of_settings(s.parse(with_(changes)))
    assert fit.pods == 1_000_000 and len(fit.placements) + len(fit.pending) < 300
    assert len(capacity.render_slice_map(fit)) < 20_000 and len(capacity.render_svg(fit)) < 60_000


def test_large_cluster_shows_a_node_in_maintenance() -> None:
    hosts = {f"gpu-{n}": {"address": f"10.1.0.{n}", "maintenance": n == 1} for n in range(1, 101)}
    text = picture_of({"pools/rtx/hosts": hosts})
    assert f"[{'.' * 20}] 0 of 0  1 x NVIDIA-H200, profile six, in maintenance" in text


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 32), st.integers(2, 200), st.integers(0, 60), st.integers(1, 9),
    st.text("ab", min_size=1, max_size=63),
)  # fmt: skip
def test_lines_are_short_and_every_slice_is_drawn(
    cards: int, replicas: int, pods: int, gpus: int, name: str
) -> None:
    changes = {"pools/rtx/gpu/count": cards, f"{RESOURCES}/0/replicas": replicas,
               "pools/rtx/hosts": {name: "10.0.0.21"},
               "workloads": {name: {"replicas": pods, "gpus": gpus}}}  # fmt: skip
    text = picture_of(changes)
    assert max(map(len, text.splitlines())) <= WIDTH
    if cards <= 64 and cards * replicas <= 64 * 48:
        assert text.count("[") == cards * replicas
    assert text.isascii()
