"""The rules about one machine, each with machines that fail it and with machines that pass all rules."""

import pytest

from k3sgpu.doctor.host_check import run_rules
from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.doctor.registry import MACHINE_CHECKS
from tests.data.captures import CAPTURES
from tests.data.machines import CARD, GPU, PLAN, facts, machine, plan
from tests.data.rule_cases import CASES, NOT_REPORTED, WITHOUT_PROBLEM


def problems_by_check(checked: Machine, plan: Plan = PLAN) -> dict[str, str]:
    return {
        problem.check: f"{problem.severity}: {problem.found} | {problem.expected} | {problem.remedy}"
        for problem in run_rules([checked], plan)
    }


@pytest.mark.parametrize(("checked", "plan"), WITHOUT_PROBLEM)
def test_machine_without_problem_passes_all_rules(checked, plan):
    assert problems_by_check(checked, plan) == {}


@pytest.mark.parametrize(("check", "known", "host", "changes", "expected"), CASES)
def test_machine_with_one_problem_fails_one_check(check, known, host, changes, expected):
    found = problems_by_check(machine(known, **host), plan(**changes))
    assert list(found) == [check]
    for text in expected:
        assert text in found[check]


def test_every_rule_has_a_failing_case():
    assert {case[0] for case in CASES} == {check.name for check in MACHINE_CHECKS}


@pytest.mark.parametrize(("known", "changes"), NOT_REPORTED)
def test_facts_that_look_wrong_but_are_not_pass(known, changes):
    assert not problems_by_check(machine(known), plan(**changes)).keys() - {"owner"}


@pytest.mark.parametrize("text", CAPTURES.values(), ids=CAPTURES)
@pytest.mark.parametrize("networks", [{}, {"clusterCidr": "10.42.0.0/16", "serviceCidr": "10.43.0.0/16"}])
def test_machines_of_every_distribution_pass_all_rules(text, networks):
    planned = plan(networks=networks, etcd=True)
    assert problems_by_check(machine(facts(text)), planned) == {}
    assert problems_by_check(machine(facts(text), role="agent"), planned) == {}
    assert problems_by_check(machine(facts(text + GPU), gpu=CARD), planned) == {}
    machines = [machine(facts(one), name) for name, one in CAPTURES.items()]
    assert run_rules(machines, planned) == []
