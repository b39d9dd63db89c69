"""The check of hosts over SSH: collects the facts of their machines, runs the rules, builds one report."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from k3sgpu.doctor.check import Check
from k3sgpu.doctor.machine import Machine, Plan, gib
from k3sgpu.doctor.registry import CROSS_CHECKS, MACHINE_CHECKS
from k3sgpu.foreign_text import escape, escape_lines
from k3sgpu.handoff.inventory import Inventory
from k3sgpu.hosts.facts import Answer, Facts, collect_facts, facts_script
from k3sgpu.hosts.ssh import Failure, Login, describe
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.problem import Problem
from k3sgpu.report import Report, names

MAX_PART = 4000
"""Characters of what a problem has found, and of its remedy: both may quote a machine."""


def check_hosts(
    inventory: Inventory, logins: Mapping[str, Login], known: Mapping[str, Facts] | None = None
) -> tuple[Report, dict[str, Facts]]:
    """Checks the hosts of the inventory, all at once. Returns the report, and the facts of every machine by
    host name.

    `logins`: how to log in, by name of host or bastion. `known`: by host name, facts of an earlier check;
    these machines are not asked again. Takes at most SSH_CONNECT_SECONDS + FACTS_SECONDS for each hundred
    machines. Raises InputError when a host key of the inventory cannot be read.
    """
    known = known or {}
    hosts = [host for host in inventory["hosts"] if host["name"] not in known]
    script = facts_script(inventory["downloads"], inventory["registration"])
    answers = asyncio.run(collect_facts(hosts, logins, inventory["bastion"], script))
    public_keys = {name: login.public_key for name, login in logins.items()}
    report = build_report(inventory, answers, public_keys, known)
    collected = {name: answer.facts for name, answer in answers.items() if isinstance(answer, Answer)}
    return report, {**known, **collected}


def build_report(
    inventory: Inventory,
    answers: Mapping[str, Answer | Failure],
    public_keys: Mapping[str, str],
    known: Mapping[str, Facts] | None = None,
) -> Report:
    """The report about the hosts that were asked, compared with those that are `known` from before.

    `public_keys`: by name of host or bastion, the public key of its login.
    """
    plan, known = Plan.from_inventory(inventory), known or {}
    problems: list[Problem] = []
    machines, subjects, behind_bastion = [], {}, []
    bastion = inventory["bastion"]
    if bastion and isinstance(failure := answers.get(bastion["name"]), Failure):
        problems.append(connection_problem(bastion, failure, public_keys[bastion["name"]]))
        subjects[bastion["name"]] = bastion["address"]
    for host in inventory["hosts"]:
        name, answer = host["name"], answers.get(host["name"])
        if isinstance(answer, Answer):
            machine = Machine(host, answer.facts, answer.clock, answer.peer)
            machines.append(machine)
            subjects[name] = _summary(machine, plan)
        elif answer and answer.kind == "bastion":
            behind_bastion.append(name)
        elif answer:
            problems.append(connection_problem(host, answer, public_keys[name]))
            subjects[name] = host["address"]
    others = [Machine(host, known[host["name"]]) for host in inventory["hosts"] if host["name"] in known]
    problems += run_rules(machines, plan, others)
    return Report("doctor hosts", subjects, problems, _notes(behind_bastion, sorted(known) if others else []))


def run_rules(machines: Sequence[Machine], plan: Plan, others: Sequence[Machine] = ()) -> list[Problem]:
    """Runs all rules on `machines` and marks as waived what the stack file waives.

    `others` are machines that were checked before, with the few facts that are still known: `machines` are
    compared with them, and no problem is reported about them.
    """
    waived = {machine.name: machine.spec["waive"] for machine in machines}
    problems = [
        problem
        for machine in machines
        for check in MACHINE_CHECKS
        for problem in _problems(check, machine, plan, [machine])
    ]
    problems += [
        problem
        for check in CROSS_CHECKS
        for problem in _problems(check, [*machines, *others], plan, machines)
        if problem.where in waived
    ]
    return [
        replace(problem, severity="waived") if problem.check in waived[problem.where] else problem
        for problem in problems
    ]


def _problems(
    check: Check, subject: Machine | list[Machine], plan: Plan, checked: Sequence[Machine]
) -> list[Problem]:
    """The problems that one check finds.

    `subject`: what the rule takes, a machine or all of them. If the rule fails on their facts, each machine
    of `checked` gets a problem that says so, and the other checks go on.
    """
    try:
        return [
            replace(
                problem,
                check=check.name,
                found=escape_lines(problem.found, MAX_PART),
                remedy=escape_lines(problem.remedy, MAX_PART),
            )
            for problem in check.rule(subject, plan)
        ]
    except Exception as error:  # a rule that a fact of an unexpected form breaks
        found = f"the facts cannot be read by the check {check.name}: {escape(describe(error))}"
        advice = '"id; uname -a" shows what answers there; if it is the right machine, report this'
        return [
            replace(one.problem(found, "facts of a Linux machine", f"{one.ssh} {advice}"), check="facts")
            for one in checked
        ]


def _notes(behind_bastion: Sequence[str], unchanged: Sequence[str]) -> list[str]:
    notes = []
    if behind_bastion:
        notes.append(f"not checked, because the bastion could not be reached: {', '.join(behind_bastion)}")
    if unchanged:
        notes.append(f"checked before, and nothing has changed since: {names(unchanged)}")
    return notes


def _summary(machine: Machine, plan: Plan) -> str:
    facts = machine.facts
    memory, k3s = facts.number("memory-kib"), facts.one("k3s-version")
    parts = [
        machine.spec["address"],
        escape(facts.one("os"), 80),
        escape(facts.one("arch"), 20),
        f"{cpus} CPUs" if (cpus := facts.number("cpus")) else "",
        gib(memory) if memory else "",
        f"{machine.gpu['count']} × {machine.gpu['product']}" if machine.gpu else "",
        f"k3s {escape(k3s, 40)}{' (ours)' if machine.belongs_to(plan) else ''}" if k3s else "",
    ]
    return ", ".join(part for part in parts if part)
