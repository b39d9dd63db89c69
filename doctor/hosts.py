"""The look at machines: ask all, judge all, one report."""

import asyncio
from collections.abc import Mapping
from typing import Any

from doctor import facts
from doctor.finding import Report
from doctor.machine import Machine, Plan
from doctor.reach import unreached
from doctor.rules import gib, judge
from doctor.ssh import Answer, Failure, Login, ask_all


def look(inventory: Mapping[str, Any], logins: Mapping[str, Login]) -> Report:
    """Asks every machine of the inventory at one moment and judges them together.

    `logins`: how to log in, by host name. Takes at most CONNECT_S + FACTS_S a hundred
    machines, however dead they are. Raises Refused when the inventory's host keys cannot be read.
    """
    question = facts.question(inventory)
    answers = asyncio.run(ask_all(inventory["hosts"], logins, inventory.get("bastion"), question))
    return report(inventory, answers, {name: login.public_key for name, login in logins.items()})


def report(
    inventory: Mapping[str, Any],
    answers: Mapping[str, Answer | Failure],
    public_keys: Mapping[str, str],
) -> Report:
    """The verdict over what the machines said."""
    plan = Plan.of(inventory)
    findings, machines, subjects, behind = [], [], {}, []
    bastion = inventory.get("bastion")
    for spec in [*([bastion] if bastion else []), *inventory["hosts"]]:
        answer = answers.get(spec["name"])
        if answer is None:  # a bastion that let us through
            continue
        if isinstance(answer, Failure) and answer.kind == "bastion":
            behind.append(spec["name"])
        elif isinstance(answer, Failure):
            findings.append(unreached(spec, answer, public_keys[spec["name"]]))
            subjects[spec["name"]] = spec["address"]
        else:
            machine = Machine(spec, answer.facts, answer.clock, answer.peer)
            machines.append(machine)
            subjects[machine.name] = _about(machine, plan)
    notes = [f"not looked at, because the bastion was not reached: {', '.join(behind)}"] if behind else []
    return Report("doctor hosts", subjects, [*findings, *judge(machines, plan)], notes)


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
