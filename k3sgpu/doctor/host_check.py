"""The check of machines over SSH: collect their facts, run the rules, build one report."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.doctor.registry import gib, run_rules
from k3sgpu.hosts import facts
from k3sgpu.hosts.facts import Facts
from k3sgpu.hosts.ssh import Answer, Failure, Login, collect_facts
from k3sgpu.hosts.ssh_errors import connection_problem
from k3sgpu.report import Report, names

NOBODY: Mapping[str, Facts] = MappingProxyType({})


def check_hosts(
    inventory: Mapping[str, Any], logins: Mapping[str, Login], known: Mapping[str, Facts] = NOBODY
) -> tuple[Report, dict[str, Facts]]:
    """Asks the machines of the inventory at one moment and judges them together: the verdict, and what is
    known of every machine now.

    `logins`: how to log in, by host name. `known`: machines that are not asked, and what they said before.
    Takes at most CONNECT_S + FACTS_S a hundred machines, however dead they are. Raises InputError when the
    inventory's host keys cannot be read.
    """
    asked = [host for host in inventory["hosts"] if host["name"] not in known]
    question = facts.facts_script(inventory)
    answers = asyncio.run(collect_facts(asked, logins, inventory.get("bastion"), question))
    verdict = build_report(
        inventory, answers, {name: login.public_key for name, login in logins.items()}, known
    )
    said = {name: answer.facts for name, answer in answers.items() if isinstance(answer, Answer)}
    return verdict, {**known, **said}


def build_report(
    inventory: Mapping[str, Any],
    answers: Mapping[str, Answer | Failure],
    public_keys: Mapping[str, str],
    known: Mapping[str, Facts] = NOBODY,
) -> Report:
    """The verdict over what the machines said, beside those that are `known` and were not asked."""
    plan = Plan.of(inventory)
    findings, machines, subjects, behind = [], [], {}, []
    bastion = inventory.get("bastion")
    for spec in [*([bastion] if bastion else []), *inventory["hosts"]]:
        answer = answers.get(spec["name"])
        if answer is None:  # one that is known, or a bastion that let us through
            continue
        if isinstance(answer, Failure) and answer.kind == "bastion":
            behind.append(spec["name"])
        elif isinstance(answer, Failure):
            findings.append(connection_problem(spec, answer, public_keys[spec["name"]]))
            subjects[spec["name"]] = spec["address"]
        else:
            machine = Machine(spec, answer.facts, answer.clock, answer.peer)
            machines.append(machine)
            subjects[machine.name] = _about(machine, plan)
    others = [Machine(spec, known[spec["name"]]) for spec in inventory["hosts"] if spec["name"] in known]
    notes = [f"not looked at, because the bastion was not reached: {', '.join(behind)}"] if behind else []
    if others:
        notes.append(f"looked at before, and nothing is new about them: {names(sorted(known))}")
    return Report("doctor hosts", subjects, [*findings, *run_rules(machines, plan, others)], notes)


def _about(machine: Machine, plan: Plan) -> str:
    said = machine.facts
    memory = said.number("memory-kib")
    k3s = said.one("k3s-version")
    parts = [
        machine.spec["address"],
        said.one("os"),
        said.one("arch"),
        f"{said.one('cpus')} CPUs" if said.one("cpus") else "",
        gib(memory) if memory else "",
        f"{machine.gpu['count']} × {machine.gpu['product']}" if machine.gpu else "",
        f"k3s {k3s}{' (ours)' if machine.belongs_to(plan) else ''}" if k3s else "",
    ]
    return ", ".join(part for part in parts if part)
