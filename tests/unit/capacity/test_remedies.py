"""The remedies: each is tried, and one step less of it is not enough."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import capacity
from tests.data.stack_files import RESOURCES
from tests.unit.capacity.fits import fit_of, the_problem

SLICES = f"{RESOURCES}/0/replicas"


def remedy_lines(fit: capacity.Fit) -> list[str]:
    """The lines of the remedy."""
    return [line.removeprefix("- ") for line in the_problem(fit).remedy.splitlines()[1:]]


def test_remedies_name_numbers_and_costs() -> None:
    more_slices, fewer_pods, smaller, more_hosts = remedy_lines(fit_of({"workloads/w/replicas": 4}))
    assert more_slices.startswith("sharing.profiles.six: replicas: 8 instead of 6 (23961 -> 17971 MiB")
    assert fewer_pods == "workloads.w: replicas: 3 instead of 4 (1 pod fewer)"
    assert smaller.startswith("workloads.w: gpus: 1 instead of 2")
    assert more_hosts == "1 more host like gpu-1 (1 more card, 6 slices each)"


def test_unshared_cards_can_be_shared() -> None:
    first, *_ = remedy_lines(fit_of({"pools/rtx/gpu/profile": "none", "workloads/w/gpus": 1}))
    assert first.startswith("share the cards of pool rtx: a profile with replicas: 2 (143771 -> 71885 MiB")


def test_more_hosts_do_not_help_a_too_large_request() -> None:
    kinds = remedy_lines(fit_of({"workloads/w": {"gpus": 8}}))
    assert [re.split(r"[:(]", remedy)[0] for remedy in kinds] == ["sharing.profiles.six", "workloads.w"]


@settings(max_examples=25, deadline=None)
@given(
    slices=st.integers(2, 6), cards=st.integers(1, 3), hosts=st.integers(1, 3),
    pods=st.integers(1, 30), gpus=st.integers(1, 8),
)  # fmt: skip
def test_each_remedy_is_enough_and_minimal(slices: int, cards: int, hosts: int, pods: int, gpus: int) -> None:
    addresses = {f"gpu-{n}": f"10.0.0.{20 + n}" for n in range(hosts)}
    base = {
        "pools/rtx/hosts": addresses, "pools/rtx/gpu/count": cards, SLICES: slices,
        "workloads/w": {"replicas": pods, "gpus": gpus},
    }  # fmt: skip
    fit = fit_of(base)
    assert fit.fits is (pods <= hosts * (cards * slices // gpus))
    for remedy in remedy_lines(fit) if fit.fits is False else []:
        number = int(re.findall(r"(?:replicas: |gpus: |^)(\d+)", remedy)[0])
        for step, enough in ((0, True), (1, False)):
            assert fit_of({**base, **changed(remedy, number, step, addresses)}).fits is enough, (remedy, step)


def changed(remedy: str, number: int, step: int, addresses: dict[str, str]) -> dict[str, Any]:
    """What a remedy says to write; with step 1, one less of it."""
    if remedy.startswith("sharing"):
        return {SLICES: number - step}
    if remedy.startswith("workloads.w: replicas"):
        return {"workloads/w/replicas": number + step}
    if remedy.startswith("workloads.w: gpus"):
        return {"workloads/w/gpus": number + step}
    new = {f"new-{n}": f"10.0.1.{n}" for n in range(number - step)}
    return {"pools/rtx/hosts": {**addresses, **new}}
