"""The rules that compare machines with each other."""

import pytest

from k3sgpu.doctor.host_check import run_rules
from k3sgpu.doctor.machine import Machine
from k3sgpu.hosts.facts import Clock
from k3sgpu.problem import Problem
from tests.data.machines import DEBIAN, OUR_AGENT, OUR_K3S, PLAN, facts, machine, plan

SERVER = facts(DEBIAN + OUR_K3S, own_ca="c0ffee", machine_id="aaaa")
STOPPED_SERVER = facts(DEBIAN + OUR_K3S, k3s_unit="k3s.service inactive", listens=None)


def found_by(check: str, machines: list[Machine], planned=PLAN) -> list[Problem]:
    """The problems of one check; no other check fails."""
    problems = run_rules(machines, planned)
    assert {problem.check for problem in problems} <= {check}
    return problems


@pytest.mark.parametrize("second", ["aaaa", "bbbb"])
def test_shared_machine_id_is_an_error_of_both(second):
    two = [machine(facts(), "a"), machine(facts(machine_id=second), "b")]
    found = [(one.where, one.severity) for one in found_by("machine-id", two)]
    assert found == ([("a", "error"), ("b", "error")] if second == "aaaa" else [])


def test_machines_without_a_machine_id_are_not_the_same():
    assert run_rules([machine(facts(machine_id=None), name) for name in "ab"], PLAN) == []


@pytest.mark.parametrize(
    ("known", "severity"),
    [(facts(), "error"), (facts(DEBIAN + OUR_K3S), "warning")],
)
def test_node_address_on_another_machine_is_reported(known, severity):
    other = facts(machine_id="bbbb", address=("10.0.0.12 eth0", "10.0.0.11 eth0"))
    two = [machine(known), machine(other, "b", address="10.0.0.12")]
    (problem,) = found_by("node-address", two)
    assert (problem.where, problem.severity) == ("node-1", severity)
    assert problem.found == "its node address 10.0.0.11 is also on b (eth0)"


@pytest.mark.parametrize("address", ["10.0.0.11 kube-ipvs0", "10.0.0.11 lo", "172.17.0.1 docker0"])
def test_address_of_a_service_is_not_a_second_node_address(address):
    other = facts(machine_id="bbbb", address=("10.0.0.12 eth0", "172.17.0.1 docker0", address))
    assert run_rules([machine(facts()), machine(other, "b", address="10.0.0.12")], PLAN) == []


@pytest.mark.parametrize("hostnames", [("a", "b"), ("a", "a")])
def test_shared_hostname_is_a_warning_of_both(hostnames):
    two = [machine(facts(hostname=one, machine_id=str(n)), f"h{n}") for n, one in enumerate(hostnames)]
    found = [(one.where, one.severity) for one in found_by("hostname", two)]
    assert found == ([("h0", "warning"), ("h1", "warning")] if hostnames == ("a", "a") else [])


@pytest.mark.parametrize("uuids", [("a", "b"), ("a", "a"), (None, None)])
def test_shared_product_uuid_is_a_warning_of_both(uuids):
    two = [machine(facts(product_uuid=one, machine_id=str(n)), f"h{n}") for n, one in enumerate(uuids)]
    found = [(one.where, one.severity) for one in found_by("product-uuid", two)]
    assert found == ([("h0", "warning"), ("h1", "warning")] if uuids == ("a", "a") else [])


@pytest.mark.parametrize(
    ("server", "agent", "expected"),
    [
        (SERVER, facts(machine_id="bbbb", api="c0ffee"), ""),
        (SERVER, facts(machine_id="bbbb"), "error: no k3s server answers at https://10.0.0.1:6443 from here"),
        (SERVER, facts(machine_id="bbbb", api="bad"), "error: another cluster answers at https://10.0.0.1"),
        # No server runs yet, or its CA is unknown.
        (STOPPED_SERVER, facts(machine_id="bbbb"), ""),
        (facts(), facts(machine_id="bbbb"), ""),
        (facts(DEBIAN + OUR_K3S), facts(machine_id="bbbb", api="bad"), ""),
    ],
)
def test_agent_must_reach_the_running_server_and_no_other_cluster(server, agent, expected):
    machines = [machine(server), machine(agent, "gpu-1", role="agent")]
    found = found_by("registration", machines, plan(registration="10.0.0.1"))
    assert [one.where for one in found] == (["gpu-1"] if expected else [])
    assert "".join(f"{one.severity}: {one.found}" for one in found).startswith(expected)


def test_running_node_that_lost_its_way_to_the_servers_is_a_warning():
    agent = machine(facts(DEBIAN + OUR_AGENT, machine_id="bbbb"), "gpu-1", role="agent")
    (found,) = run_rules([machine(SERVER), agent], plan(registration="10.0.0.1"))
    assert (found.where, found.check, found.severity) == ("gpu-1", "registration", "warning")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.2", []),  # server-2's own: the next up installs it
        ("k3s.example.org", [("server-2", "warning"), ("gpu-1", "warning")]),  # may lead to server-2
        ("10.0.0.11", [("server-2", "error"), ("gpu-1", "error")]),  # the running server's own
    ],
)
def test_server_that_is_still_to_come_blocks_no_up(address: str, expected: list[tuple[str, str]]):
    machines = [
        machine(SERVER),
        machine(facts(machine_id="bbbb"), "server-2", address="10.0.0.2", nodeIp="10.0.0.2"),
        machine(facts(machine_id="cccc"), "gpu-1", role="agent", address="10.0.0.3"),
    ]
    found = [one for one in run_rules(machines, plan(registration=address)) if one.check == "registration"]
    assert [(one.where, one.severity) for one in found] == expected


@pytest.mark.parametrize(("server", "agent", "newer"), [("1.35.4", "1.36.2", 1), ("1.36.1", "1.36.2", 0)])
def test_agent_with_a_newer_minor_version_than_a_server_is_a_warning(server, agent, newer):
    agent_facts = facts(DEBIAN + OUR_AGENT, k3s_version=f"v{agent}+k3s1", machine_id="bbbb")
    machines = [
        machine(facts(DEBIAN + OUR_K3S, k3s_version=f"v{server}+k3s1")),
        machine(agent_facts, "gpu-1", role="agent"),
    ]
    found = [one for one in run_rules(machines, PLAN) if one.check == "skew"]
    assert [(one.where, one.severity) for one in found] == [("gpu-1", "warning")] * newer
    if found:
        assert found[0].found == "k3s v1.36.2+k3s1, and server node-1 runs v1.35.4+k3s1"


def clock_ahead(seconds: float) -> Clock:
    return Clock(earliest=seconds, latest=seconds + 1.0)


@pytest.mark.parametrize(
    ("offsets", "wrong"),
    [
        ([0], []),
        ([29], []),
        ([35], ["0"]),
        ([-35], ["0"]),
        ([0, 100], ["1"]),
        ([100, 100, 101], []),  # the machines agree: this computer's clock is wrong
        ([0, 1, -2, -90], ["3"]),
        ([0, 20, 40, 60], ["3"]),
    ],
)
def test_clock_far_from_the_median_is_an_error(offsets, wrong):
    machines = [
        machine(facts(machine_id=str(number)), str(number), clock=clock_ahead(offset))
        for number, offset in enumerate(offsets)
    ]
    found = [one for one in run_rules(machines, PLAN) if one.check == "clock"]
    assert [(one.where, one.severity) for one in found] == [(name, "error") for name in wrong]


def test_slow_answer_is_not_a_wrong_clock():
    assert run_rules([machine(facts(), clock=Clock(earliest=-45, latest=1))], PLAN) == []


def test_clock_problem_says_by_how_much_and_which_way():
    (found,) = run_rules([machine(facts(), clock=clock_ahead(-95.5))], PLAN)
    assert "94 s behind" in found.found
    assert "timedatectl set-ntp true" in found.remedy
