"""The report about all hosts: from the answers of machines, through the rules, with what is waived."""

from k3sgpu.doctor.host_check import build_report, run_rules
from k3sgpu.hosts.facts import Answer
from k3sgpu.hosts.ssh import Failure
from k3sgpu.report import Report, as_json, as_text
from tests.data.inventories import host_entry, inventory_of
from tests.data.machines import CARD, DEBIAN, GPU, OUR_K3S, PLAN, facts, machine

BASTION = host_entry("the bastion", address="10.0.0.1")


def test_report_describes_a_machine_in_one_line():
    answers = {"node-1": Answer(facts(DEBIAN + GPU + OUR_K3S), None, "10.0.0.11")}
    report = build_report(inventory_of(host_entry(gpu=CARD)), answers, {})
    assert report.exit_code == 0
    assert report.subjects["node-1"] == (
        "10.0.0.11, Debian GNU/Linux 12 (bookworm), x86_64, 4 CPUs, 7.6 GiB, "
        "1 × NVIDIA-GeForce-RTX-2080-Ti, k3s v1.36.2+k3s1 (ours)"
    )


def test_waived_problem_is_shown_and_does_not_count():
    checked = machine(facts(disk_free_kib="4000000", swap="/swap.img"), waive=["disk", "swap"])
    problems = run_rules([checked], PLAN)
    assert {problem.check: problem.severity for problem in problems} == {"disk": "waived", "swap": "waived"}
    report = Report("t", {"node-1": "x"}, problems)
    assert report.exit_code == 0
    assert "t: 2 waived" in as_text(report)
    assert "  waived: swap: swap is on: /swap.img" in as_text(report)
    assert as_json(report)["waived"] == 2


def test_hosts_behind_a_bastion_that_failed_are_named_in_a_note():
    hosts = [host_entry("a", jump="me@10.0.0.1:22"), host_entry("b", jump="me@10.0.0.1:22")]
    failed = Failure("bastion", "not checked: no connection to the bastion")
    answers = {"the bastion": Failure("refused", "no"), "a": failed, "b": failed}
    report = build_report(inventory_of(*hosts, bastion=BASTION), answers, {"the bastion": ""})
    assert [(problem.where, problem.check) for problem in report.problems] == [("the bastion", "connection")]
    assert report.notes == ["not checked, because the bastion could not be reached: a, b"]


def test_new_machine_is_compared_with_machines_of_an_earlier_check():
    hosts = [host_entry("gpu-1", role="agent"), host_entry("gpu-2", role="agent")]
    known = {"gpu-1": facts("", machine_id="aaaa")}
    report = build_report(inventory_of(*hosts), {"gpu-2": Answer(facts(), None, "")}, {}, known)
    assert [(problem.where, problem.found) for problem in report.problems] == [
        ("gpu-2", "machine-id aaaa, the same as gpu-1")
    ]
    assert report.notes == ["checked before, and nothing has changed since: gpu-1"]
