"""The rules over what facts.sh printed in the userlands of real distributions."""

import pytest

from k3sgpu.doctor.machine import Machine, Plan
from k3sgpu.doctor.registry import TOOLS, run_rules
from k3sgpu.hosts.facts import parse
from tests.data.captures import USERLANDS
from tests.unit.doctor.test_rules import PLAN, machine

IPTABLES = {"debian-11": "1.8.7", "debian-12": "1.8.9", "debian-13": "1.8.11"}


def checks(thing: Machine, plan: Plan = PLAN) -> dict[str, str]:
    return {finding.check: finding.found for finding in run_rules([thing], plan)}


@pytest.mark.parametrize("name", IPTABLES)
def test_a_userland_has_all_that_an_installation_calls(name):
    known = parse(USERLANDS[name])
    assert known.complete and known.one("os-id") == "debian"
    assert {*TOOLS, "curl"} <= set(known.all("tool"))
    assert known.one("iptables") == f"iptables v{IPTABLES[name]} (nf_tables)"
    found = checks(machine(known))
    # A folder is no machine, and the rules say in what: no init, no cgroups below it, no network.
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
def test_a_userland_that_lacks_something_is_told(name, line, check):
    """A line of it is taken away, or one of an older or larger system added."""
    text = USERLANDS[name]
    if line in text:
        changed = text.replace(line, "")
    elif check == "security":
        changed = text.replace("apparmor-parser\tthere\n", "") + line
    else:
        changed = "\n".join(one for one in text.splitlines() if not one.startswith(check)) + "\n" + line
    assert set(checks(machine(parse(changed)))) == {"system", "cgroup", "route", check}
