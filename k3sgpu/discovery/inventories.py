"""Inventories of other tools, which name machines: found by their content, read to HostArguments.

- Ansible's in YAML and INI, with the groups of k3s-ansible: server and agent, in older ones master and node
- SkyPilot's ssh_node_pools.yaml: the first host of a pool is its head node
- a plain list: one [user@]address[:port] a line, comments after #
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from k3sgpu.discovery.host_arguments import HostArgument, Role, parse_host, without_problems
from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.yaml_nodes import Node, YamlError, parse
from k3sgpu.settings.models.addresses import IPV4

ROLES: Mapping[str, Role] = {"server": "server", "master": "server", "agent": "agent", "node": "agent"}
"""By the name of a group of k3s-ansible, now and before 2024."""
MOST_HOSTS = 1000
"""Of a range such as 10.0.0.[1:9]: what a pool may have."""
FORMATS = (
    "a list of [user@]address[:port], Ansible's inventory (YAML or INI), or SkyPilot's ssh_node_pools.yaml"
)
_SECTION = re.compile(r"\[([A-Za-z0-9_.-]+)(?::(children|vars))?\]\s*(?:[#;].*)?")
_RANGE = re.compile(r"(.*)\[([0-9]{1,4}):([0-9]{1,4})\](.*)")
_YAML_LINE = re.compile(r"[^\s#][^#]*:(\s|$)")

Parsed = Iterator[HostArgument | Problem]


@dataclass
class Group:
    """A group of Ansible's inventory."""

    hosts: dict[str, tuple[dict[str, str], int]] = field(default_factory=dict)
    """By the host's name: its variables, and its line."""
    children: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def read_inventory(text: str, file: str) -> list[HostArgument]:
    """The machines that an inventory names, in its order.

    `file` is its name for messages. Raises SettingsError with every line that cannot be used.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";"))]
    if lines and _SECTION.fullmatch(lines[0].strip()):
        hosts = without_problems(_of_groups(_ini_groups(text, file), file))
    elif any(_YAML_LINE.match(line) for line in lines):
        hosts = without_problems(_of_yaml(text, file))
    else:
        hosts = without_problems(_of_list(text, file))
    if not hosts:
        remedy = f"write {FORMATS}"
        raise SettingsError([Problem(escape(file), "no machine", "a machine or several", remedy)])
    return hosts


def _place(file: str, line: int) -> str:
    return f"{escape(file)}: line {line}"


def _unusable(file: str, line: int, found: str, expected: str = FORMATS) -> SettingsError:
    return SettingsError([Problem(_place(file, line), found, expected, "correct this line")])


def _of_list(text: str, file: str) -> Parsed:
    for number, line in enumerate(text.splitlines(), 1):
        if host := line.partition("#")[0].strip():
            yield parse_host(host, _place(file, number))


def _of_yaml(text: str, file: str) -> Parsed:
    try:
        root = parse(text)
    except YamlError as error:
        raise _unusable(file, error.line, escape(error.found)) from None
    if root is None or root.kind != "mapping":
        raise _unusable(file, root.line if root else 1, "YAML without keys")
    pools = _entries(root)
    if all(_value(pool, "hosts", "sequence") for pool in pools.values()):
        return _of_node_pools(pools, file)
    groups: dict[str, Group] = {}
    for name, node in pools.items():
        _add_group(groups, name, node, file)
    return _of_groups(groups, file)


def _entries(node: Node) -> dict[str, Node]:
    return {key.text: value for key, value in zip(node.items[::2], node.items[1::2], strict=True)}


def _value(node: Node, key: str, kind: str) -> Node | None:
    found = _entries(node).get(key) if node.kind == "mapping" else None
    return found if found and found.kind == kind else None


def _of_node_pools(pools: Mapping[str, Node], file: str) -> Parsed:
    for pool in pools.values():
        shared = _texts(pool)
        hosts = _entries(pool)["hosts"].items
        for index, node in enumerate(hosts):
            values = {**shared, **({"ip": node.text} if node.kind == "scalar" else _texts(node))}
            role: Role = "server" if index == 0 else "agent"
            place = _place(file, node.line)
            if "ip" not in values:
                yield Problem(place, "a host without ip", "ip: ADDRESS, or the address alone", "add its ip")
                continue
            parsed = parse_host(values["ip"], place)
            yield _with(parsed, values.get("user", ""), "", role, values.get("identity_file", ""))


def _texts(node: Node) -> dict[str, str]:
    """The plain values of a mapping."""
    return {key: value.text for key, value in _entries(node).items() if value.kind == "scalar"}


def _with(
    parsed: HostArgument | Problem, user: str, name: str, role: Role, key: str
) -> HostArgument | Problem:
    if isinstance(parsed, Problem):
        return parsed
    return replace(parsed, user=user or parsed.user, name=name, role=role, key_file=key)


def _add_group(groups: dict[str, Group], name: str, node: Node, file: str) -> None:
    """Adds a group of Ansible's YAML and the groups below it."""
    group = groups.setdefault(name, Group())
    if node.kind == "scalar" and not node.text:
        return
    if node.kind != "mapping" or not {"hosts", "children", "vars"} & _entries(node).keys():
        raise _unusable(file, node.line, f"{escape(name, 80)}: neither hosts nor children below it")
    if hosts := _value(node, "hosts", "mapping"):
        for key, values in zip(hosts.items[::2], hosts.items[1::2], strict=True):
            variables = _texts(values) if values.kind == "mapping" else {}
            group.hosts |= dict.fromkeys(_expand(key.text, file, key.line), (variables, key.line))
    if variables := _value(node, "vars", "mapping"):
        group.variables |= _texts(variables)
    if children := _value(node, "children", "mapping"):
        for child, below in _entries(children).items():
            group.children.append(child)
            _add_group(groups, child, below, file)


def _ini_groups(text: str, file: str) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    group, kind = Group(), ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", ";")):
            continue
        if stripped.startswith("[") and (section := _SECTION.fullmatch(stripped)):
            group, kind = groups.setdefault(section[1], Group()), section[2] or "hosts"
            continue
        try:
            words = shlex.split(stripped, comments=True)
        except ValueError:
            raise _unusable(file, number, f"{escape(stripped, 80)}: a quote that does not end") from None
        if kind == "children":
            group.children.append(words[0])
        elif kind == "vars":
            name, _, value = stripped.partition("=")
            group.variables[name.strip()] = value.strip()
        else:
            variables = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            group.hosts |= dict.fromkeys(_expand(words[0], file, number), (variables, number))
    return groups


def _expand(name: str, file: str, line: int) -> list[str]:
    """The names of a range, web[01:03] → web01, web02, web03; any other name alone."""
    match = _RANGE.fullmatch(name)
    if not match:
        return [name]
    before, first, last, after = match.groups()
    if not 0 <= int(last) - int(first) < MOST_HOSTS:
        raise _unusable(file, line, f"{escape(name, 80)}: a range of none or too many", "[FIRST:LAST]")
    return [f"{before}{number:0{len(first)}}{after}" for number in range(int(first), int(last) + 1)]


def _of_groups(groups: Mapping[str, Group], file: str) -> Parsed:
    """The hosts of all groups; of one in several groups, its variables and its role from all of them."""
    lines: dict[str, int] = {}
    found: dict[str, dict[str, str]] = {}
    roles: dict[str, Role] = {}
    for name, group in groups.items():
        ancestry = _ancestry(groups, name)
        inherited = {
            key: value for one in ancestry if one in groups for key, value in groups[one].variables.items()
        }
        known: list[Role] = [ROLES[one] for one in reversed(ancestry) if one in ROLES]
        role: Role = known[0] if known else ""
        for host, (variables, line) in group.hosts.items():
            lines.setdefault(host, line)
            found[host] = {**inherited, **found.get(host, {}), **variables}
            roles[host] = roles.get(host) or role
    for host, variables in found.items():
        yield _ansible_host(host, variables, roles[host], _place(file, lines[host]))


def _ancestry(groups: Mapping[str, Group], name: str) -> list[str]:
    """The group's ancestors, the outermost first, and the group itself; `all` is above every group."""
    chain, current = [name], name
    while parent := next((one for one, group in groups.items() if current in group.children), None):
        if parent in chain:
            break
        chain.insert(0, parent)
        current = parent
    return chain if chain[0] == "all" else ["all", *chain]


def _ansible_host(name: str, variables: Mapping[str, str], role: Role, place: str) -> HostArgument | Problem:
    address = variables.get("ansible_host", name)
    port = variables.get("ansible_port", "")
    parsed = parse_host(f"{address}:{port}" if port and ":" not in address else address, place)
    own_name = "" if re.fullmatch(IPV4, name) or name == address else name
    key = variables.get("ansible_ssh_private_key_file", "")
    return _with(parsed, variables.get("ansible_user", ""), own_name, role, key)
