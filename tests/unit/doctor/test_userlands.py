"""The rules on the output of facts.sh in the userlands of real distributions."""

import pytest

from k3sgpu.doctor.host_check import run_rules
from k3sgpu.doctor.machine import Machine
from k3sgpu.doctor.rules.system import TOOLS
from k3sgpu.hosts.facts import parse_facts
from tests.data.captures import USERLANDS
from tests.data.machines import PLAN, machine

IPTABLES = {"debian-11": "1.8.7", "debian-12": "1.8.9", "debian-13": "1.8.11"}


def found_by_check(checked: Machine) -> dict[str, str]:
    return {problem.check: problem.found for problem in run_rules([checked], PLAN)}


@pytest.mark.parametrize("name", IPTABLES)
def test_userland_has_every_tool_of_the_installation(name):
    known = parse_facts(USERLANDS[name])
    assert known.complete and known.one("os-id") == "debian"
    assert {*TOOLS, "curl"} <= set(known.all("tool"))
    assert known.one("iptables") == f"iptables v{IPTABLES[name]} (nf_tables)"
    found = found_by_check(machine(known))
    # A chroot is no machine: it has no init, no cgroups and no network.
    assert set(found) == {"system", "cgroup", "route"}
    assert found["system"].startswith("Debian GNU/Linux") and "does not run systemd" in found["system"]


@pytest.mark.parametrize("name", IPTABLES)
@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("tool\ttar\n", "tools"),
        ("iptables\tiptables v1.8.2 (nf_tables)\n", "iptables"),
        ("apparmor\tenabled\n", "security"),
    ],
)
def test_userland_that_lacks_something_fails_the_check(name, line, check):
    """A line is removed, or replaced by that of an older or larger system."""
    text = USERLANDS[name]
    if line in text:
        changed = text.replace(line, "")
    elif check == "security":
        changed = text.replace("apparmor-parser\tthere\n", "") + line
    else:
        changed = "\n".join(one for one in text.splitlines() if not one.startswith(check)) + "\n" + line
    assert set(found_by_check(machine(parse_facts(changed)))) == {"system", "cgroup", "route", check}
