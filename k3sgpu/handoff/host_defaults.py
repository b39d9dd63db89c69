"""What a process is handed about hosts, as JSON: the values that most hosts share stand in it once.

The text is in the state twice, as an input and as an output of a Command, and hosts of a pool are alike.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

DEFAULTS = "hostDefaults"


def hosts_json(plan: Mapping[str, Any]) -> str:
    """`plan` as JSON. `hostDefaults` has the values that more than half of its `hosts` have, of keys that all
    have, and a host has only what differs."""
    hosts: Sequence[Mapping[str, Any]] = plan["hosts"]
    keys = set(hosts[0]).intersection(*hosts[1:]) if len(hosts) > 1 else set()
    defaults = {key: value for key in keys for value in _shared([host[key] for host in hosts])}
    own = [
        {key: value for key, value in host.items() if key not in defaults or defaults[key] != value}
        for host in hosts
    ]
    return json.dumps({**plan, DEFAULTS: defaults, "hosts": own}, sort_keys=True, separators=(",", ":"))


def expand_hosts(data: object) -> object:
    """`data`, read from such a JSON text, with all values in every host.

    What has another shape is returned as it is, for a validation that names the mistake.
    """
    if not isinstance(data, dict) or DEFAULTS not in data:
        return data
    defaults, hosts = data[DEFAULTS], data.get("hosts")
    if not isinstance(defaults, dict) or not isinstance(hosts, list):
        return data
    rest = {key: value for key, value in data.items() if key != DEFAULTS}
    return {**rest, "hosts": [{**defaults, **host} if isinstance(host, dict) else host for host in hosts]}


def _shared(values: Sequence[Any]) -> list[Any]:
    """The value that more than half of them are, if any."""
    (text, count), *_ = Counter(json.dumps(value, sort_keys=True) for value in values).most_common(1)
    return [json.loads(text)] if 2 * count > len(values) else []
