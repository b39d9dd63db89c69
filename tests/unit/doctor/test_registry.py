"""The registry is right about every check: severities, remedy, description, waivable or not."""

from collections import defaultdict
from collections.abc import Iterator
from typing import get_args

import asyncssh

from k3sgpu.doctor.host_check import run_rules
from k3sgpu.doctor.registry import checks
from k3sgpu.hosts.facts import Clock
from k3sgpu.hosts.ssh import Failure
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.problem import Problem
from k3sgpu.settings.models.doctor import WaivableCheck
from tests.data.inventories import HOST_KEY, host_entry
from tests.data.machines import DEBIAN, OUR_AGENT, OUR_K3S, PLAN, facts, machine, plan
from tests.data.rule_cases import CASES

NAMES = [check.name for check in checks()]


def problems_of_one_machine() -> Iterator[Problem]:
    for _, known, host, changes, _ in CASES:
        yield from run_rules([machine(known, **host)], plan(**changes))


def problems_between_hosts() -> Iterator[Problem]:
    same = facts(product_uuid="1", hostname="h")
    yield from run_rules([machine(same, "a"), machine(same, "b", clock=Clock(99, 100))], PLAN)
    server = machine(facts(DEBIAN + OUR_K3S, k3s_version="v1.35.4+k3s1"))
    joined = machine(facts(DEBIAN + OUR_AGENT, machine_id="bbbb"), "gpu-1", role="agent")
    twice = facts(machine_id="dddd", address=("10.0.0.12 eth0", "10.0.0.11 eth0"))
    for known in (facts(), server.facts):
        yield from run_rules([machine(known), machine(twice, "b", address="10.0.0.12")], PLAN)
    new = machine(facts(machine_id="cccc"), "gpu-2", role="agent")
    yield from run_rules([server, joined, new], plan(registration="10.0.0.1"))


def problems_of_connections() -> Iterator[Problem]:
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    host = host_entry(privateKeyFile="~/.ssh/id", hostKey=HOST_KEY)
    for kind in (
        "name",
        "refused",
        "unreachable",
        "timeout",
        "not-ssh",
        "forwarding",
        "host-key",
        "login",
        "facts",
    ):
        yield connection_problem(host, Failure(kind, "detail", key), "ssh-ed25519 AAAA")


def all_problems() -> list[Problem]:
    return [*problems_of_one_machine(), *problems_between_hosts(), *problems_of_connections()]


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


def test_declared_severities_are_those_of_the_problems():
    found = defaultdict(set)
    for problem in all_problems():
        found[problem.check].add(problem.severity)
    assert dict(found) == {check.name: set(check.severities) for check in checks()}


def test_declared_remedy_is_part_of_a_problems_remedy():
    remedies = defaultdict(list)
    for problem in all_problems():
        remedies[problem.check].append(problem.remedy)
    missing = {
        check.name: check.remedy
        for check in checks()
        if not any(check.remedy in remedy for remedy in remedies[check.name])
    }
    assert missing == {}


def test_every_description_is_one_sentence():
    for check in checks():
        assert check.description.endswith((".", ")")) and check.description.count(". ") == 0, check.name


def test_the_stack_file_can_waive_what_the_registry_calls_waivable():
    assert set(get_args(WaivableCheck)) == {check.name for check in checks() if check.waivable}
