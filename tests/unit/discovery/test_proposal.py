"""The proposal: from the facts of machines to servers, pools, profiles, driver and toolkit."""

from typing import Any

import pytest
import yaml

from k3sgpu import settings
from k3sgpu.discovery import slices
from k3sgpu.discovery.candidates import Candidate, Seen
from k3sgpu.discovery.card_kinds import CardKind, Product, card_kinds
from k3sgpu.discovery.host_arguments import parse_hosts
from k3sgpu.discovery.proposal import Choices, Proposal, propose, server_count_is_open
from k3sgpu.discovery.stack_file_text import K3sSection, SshSection, new_text
from k3sgpu.hosts.facts import Answer
from k3sgpu.operator_releases import MAJOR_RELEASES, major_release
from k3sgpu.settings.models.gpu_operator import GpuOperator
from tests.data.machines import DEBIAN, GPU, facts

K3S = K3sSection({"version": "v1.36.2+k3s1", "installScriptSha256": "a" * 64}, "")
NO_DRIVER: dict[str, Any] = {
    "nvidia_module": None, "nvidia_smi_status": None, "nvidia_smi": None, "toolkit": None,
}  # fmt: skip


def seen(text: str, hostname: str = "", *, gpu: bool = False, **changes: Any) -> Seen:
    """A machine that the HOST `text` names and that has answered."""
    (argument,) = parse_hosts([text])
    own = {"hostname": hostname or None, "address": f"{argument.address} eth0", **changes}
    known = facts(DEBIAN + GPU if gpu else DEBIAN, **own)
    candidate = Candidate(argument, argument.address, argument.port or 22, argument.user or "root", "~/k")
    return Seen(candidate, Answer(known, None, argument.address))


def proposed(*machines: Seen, **choices: Any) -> Proposal:
    """The proposal for these machines, whose text is a stack file that the program accepts."""
    kinds, problems = card_kinds(machines, None)
    assert problems == []
    proposal = propose(machines, kinds, Choices(**choices), "lab", "k3s-gpu-sharing")
    accepted(proposal, machines)
    return proposal


def accepted(proposal: Proposal, machines: tuple[Seen, ...]) -> settings.Settings:
    ssh = SshSection.for_most([one.candidate for one in machines], "known_hosts")
    config = yaml.safe_load(new_text("lab", proposal, ssh, K3S, "v26.7.0", ()))["config"]
    return settings.parse({key.removeprefix("k3s-gpu-sharing:"): value for key, value in config.items()})


def pools(proposal: Proposal) -> dict[str, tuple[str, list[str], str]]:
    return {one.name: (one.role, [host.name for host in one.hosts], one.profile) for one in proposal.pools}


def test_pools_are_made_by_role_product_and_number_of_cards() -> None:
    two = {"nvidia_smi": ("Tesla T4, 15360 MiB", "Tesla T4, 15360 MiB"), "pci_gpu": ("a 0x1eb8", "b 0x1eb8")}
    machines = [
        seen("10.0.0.1", "head"),
        seen("10.0.0.2", "spare"),
        seen("10.0.0.3", "rtx-1", gpu=True),
        seen("10.0.0.4", "rtx-2", gpu=True),
        seen("10.0.0.5", "t4-1", gpu=True, **two),
        seen("10.0.0.6", "t4-2", gpu=True, nvidia_smi=two["nvidia_smi"][0], pci_gpu="a 0x1eb8"),
    ]
    proposal = proposed(*machines)
    assert pools(proposal) == {
        "control": ("server", ["head"], ""),
        "cpu": ("agent", ["spare"], ""),
        "rtx-2080-ti": ("agent", ["rtx-1", "rtx-2"], "rtx-2080-ti"),
        "t4-x2": ("agent", ["t4-1"], "t4"),
        "t4-x1": ("agent", ["t4-2"], "t4"),
    }
    assert set(proposal.profiles) == {"rtx-2080-ti", "t4"}


def test_the_user_decides_on_servers() -> None:
    machines = [seen(f"10.0.0.{n}", f"m{n}", gpu=n == 4) for n in range(1, 5)]
    assert server_count_is_open(machines, Choices())
    assert not server_count_is_open(machines, Choices(server_count=3))
    three = proposed(*machines, server_count=3)
    assert [host.name for host in three.servers] == ["m1", "m2", "m3"]
    file = accepted(three, tuple(machines))
    assert (file.k3s.initial_server, file.k3s.registration_address) == ("m1", "10.0.0.1")
    assert [host.name for host in proposed(*machines, servers=("10.0.0.4",)).servers] == ["m4"]


def test_names_are_valid_and_unique() -> None:
    machines = [
        seen("10.0.0.1", "GPU_Box.example.org"),
        seen("10.0.0.2", "gpu-box"),
        seen("10.0.0.3", "localhost", gpu=True),
        seen("10.0.0.4", gpu=True),
    ]
    names = [host.name for pool in proposed(*machines).pools for host in pool.hosts]
    assert names == ["gpu-box", "gpu-box-2", "gpu-1", "gpu-2"]


def test_a_name_that_yaml_takes_for_something_else_is_quoted() -> None:
    machines = [seen(f"10.0.0.{n}", name) for n, name in enumerate(("yes", "null", "12", "1e3", "0x1f"), 1)]
    proposal = proposed(*machines)
    nodes = accepted(proposal, tuple(machines)).nodes
    assert sorted(node.name for node in nodes) == ["0x1f", "12", "1e3", "null", "yes"]


def test_a_machine_of_this_stack_keeps_its_name() -> None:
    marker = ("project k3s-gpu-sharing", "stack lab", "host old-name")
    (pool,) = proposed(seen("10.0.0.1", "new-name", owner=marker)).pools
    assert pool.hosts[0].name == "old-name"


def test_a_node_behind_another_address_gets_its_own() -> None:
    own: dict[str, Any] = {
        "address": ("127.0.0.1 lo", "172.17.0.1 docker0", "10.1.0.5 eth0", "10.2.0.5 eth1")
    }
    machine = seen("203.0.113.6:2222", "gpu-1", default_route="eth1", **own)
    assert proposed(machine).pools[0].hosts[0].node_ip == "10.2.0.5"


@pytest.mark.parametrize(
    ("there", "driver", "toolkit"),
    [
        ([{}, {}], "host", "host"),
        ([NO_DRIVER, NO_DRIVER], "operator", "operator"),
        ([{}, NO_DRIVER], "operator", "operator"),
        ([{}, {"toolkit": None}], "host", "operator"),
    ],
)
def test_the_operator_installs_what_a_machine_lacks(
    there: list[dict[str, Any]], driver: str, toolkit: str
) -> None:
    machines = [seen(f"10.0.0.{n}", f"m{n}", gpu=True, **changes) for n, changes in enumerate(there, 1)]
    proposal = proposed(*machines)
    assert (proposal.driver, proposal.toolkit) == (driver, toolkit)


def test_cards_without_a_driver_are_those_of_a_machine_with_the_same_devices() -> None:
    kinds, problems = card_kinds([seen("10.0.0.1", gpu=True), seen("10.0.0.2", gpu=True, **NO_DRIVER)], None)
    assert len(set(kinds.values())) == 1 and problems == []
    kinds, _ = card_kinds([seen("10.0.0.2", gpu=True, **NO_DRIVER, pci_gpu="0000:01:00.0 0x27b8")], None)
    assert kinds["10.0.0.2"] == CardKind("NVIDIA-L4", 23034, 1)
    unknown = seen("10.0.0.2", gpu=True, **NO_DRIVER, pci_gpu="0000:01:00.0 0xffff")
    assert card_kinds([unknown], Product("NVIDIA-L4", 23034))[1] == []
    kinds, (problem,) = card_kinds([unknown], None)
    assert kinds == {} and "--gpu NVIDIA-GeForce-RTX-2080-Ti:11264" in problem.remedy


def test_cards_before_turing_get_the_operators_older_driver() -> None:
    machine = seen("10.0.0.1", gpu=True, **NO_DRIVER, pci_gpu="0000:01:00.0 0x1db1")
    file = accepted(proposed(machine), (machine,))
    assert file.gpu_operator.values == {"driver": {"version": "580.173.02"}}


def a100(*partitions: str) -> Seen:
    card = {
        "nvidia_smi": "NVIDIA A100-SXM4-40GB, 40960 MiB",
        "mig_mode": "Enabled",
        "mig_partition": partitions,
    }
    return seen("10.0.0.1", "a100", gpu=True, **card)


def test_partitions_stay_as_they_are() -> None:
    alike, mixed = a100(*["0 1g.5gb"] * 7), a100("0 3g.20gb", "0 2g.10gb")
    assert proposed(alike).profiles["a100-sxm4-40gb-mig"].content == {"migStrategy": "single"}
    assert proposed(mixed).profiles["a100-sxm4-40gb-mig"].content == {"migStrategy": "mixed"}
    shared = proposed(mixed, slices=2).profiles["a100-sxm4-40gb-mig"].content
    assert [one["name"] for one in shared["timeSlicing"]["resources"]] == [
        "nvidia.com/mig-2g.10gb",
        "nvidia.com/mig-3g.20gb",
    ]


@pytest.mark.parametrize(
    ("mib", "number"), [(2048, 1), (3584, 2), (11264, 6), (15360, 8), (24576, 10), (143771, 10)]
)
def test_slices_follow_from_memory(mib: int, number: int) -> None:
    assert slices.default_slices(mib) == number


def test_a_small_card_is_not_shared() -> None:
    proposal = proposed(seen("10.0.0.1", "nano", gpu=True, nvidia_smi="Quadro K620, 2000 MiB"))
    assert proposal.profiles == {} and proposal.pools[0].profile == "none"
    eight = proposed(seen("10.0.0.1", "box", gpu=True), slices=8)
    assert eight.profiles["rtx-2080-ti"].content["timeSlicing"]["resources"][0]["replicas"] == 8


def test_the_proposed_operator_is_the_newest_known() -> None:
    assert major_release(GpuOperator().version) == MAJOR_RELEASES[-1]
