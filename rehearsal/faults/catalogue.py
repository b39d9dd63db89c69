"""All faults: every `Fault` of the modules that describe them, by name."""

from collections.abc import Mapping

from rehearsal.faults import api_server, install, interrupted, machine, operator, sharing, ssh
from rehearsal.faults.fault import Fault

AREAS = (ssh, machine, install, interrupted, sharing, operator, api_server)
CATALOGUE: Mapping[str, Fault] = {
    entry.name: entry for area in AREAS for entry in vars(area).values() if isinstance(entry, Fault)
}
# `make faults` runs these by default: one of each kind, in little more than a minute.
SAMPLE = ("host-key-missing", "several-at-once", "somebody-elses-k3s", "wrong-token", "destroyed-half-way")
