"""What k3s is on a machine, from the lines that read-k3s.sh prints there."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from k3sgpu.adoption import found_options
from k3sgpu.adoption.found_options import CONFIG_FILE, K3S, REGISTRIES_FILE, Options, UnreadableError
from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem

Role = Literal["server", "agent"]
UNITS: Mapping[str, Role] = {"k3s.service": "server", "k3s-agent.service": "agent"}


@dataclass(frozen=True)
class FoundNode:
    """A Node of the cluster, as a server's API shows it."""

    name: str
    ip: str
    machine_id: str
    version: str
    is_server: bool


@dataclass(frozen=True)
class FoundK3s:
    """A k3s that was installed by hand. Its texts may hold secrets, so it is never shown."""

    where: str
    """The machine as the user named it."""
    role: Role
    version: str
    hostname: str
    machine_id: str
    files_hash: str
    """Of all files that decide how it runs (parts/k3s_files.sh)."""
    ca: str
    """The hash of the cluster's certificates, which tells clusters apart."""
    database: str = ""
    """etcd or sqlite on a server; "" for a database outside of the cluster, and on an agent."""
    options: Options = field(default_factory=dict, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name in upper case: the variables of its environment about a proxy."""
    registries: str = field(default="", repr=False)
    """The text of registries.yaml."""
    nodes: tuple[FoundNode, ...] = ()
    """On a server: all Nodes of the cluster."""

    @property
    def node_name(self) -> str:
        """The name of its Node."""
        return (self.one("node-name") or self.hostname).lower()

    def one(self, option: str) -> str:
        """The value of an option, the last one where it was given several times; "" where it is not set."""
        return self.options.get(option, ("",))[-1]

    def all(self, option: str) -> tuple[str, ...]:
        """The values of an option that is a list: k3s takes commas for several."""
        return tuple(part for value in self.options.get(option, ()) for part in value.split(",") if part)


@dataclass(frozen=True)
class _Printed:
    """What read-k3s.sh has printed."""

    values: Mapping[str, Sequence[str]]
    files: Mapping[str, str]
    """By path: the text."""

    def one(self, name: str) -> str:
        return next(iter(self.values.get(name, ())), "")


def read_machine(where: str, lines: Sequence[str]) -> FoundK3s | list[Problem]:
    """The k3s of a machine, or all reasons why it cannot be taken over. `where` is the machine's name."""
    try:
        printed = _parse(lines)
    except (binascii.Error, UnicodeDecodeError):
        printed = _Printed({}, {})
    if printed.one("end") != "ok":
        found = "an answer that is not whole"
        return [Problem(where, found, "the lines of read-k3s.sh to the end", "run adopt again", check="k3s")]
    problems = [*_installation(where, printed)]
    if problems:
        return problems
    unit = printed.one("unit").split()[0]
    try:
        found, reasons = _options(printed, unit)
    except UnreadableError as error:
        found, reasons = {}, [str(error)]
    problems = [_inexpressible(where, reason) for reason in reasons]
    return problems or FoundK3s(
        where=where,
        role=UNITS[unit],
        version=printed.one("version"),
        hostname=printed.one("hostname"),
        machine_id=printed.one("machine-id"),
        files_hash=printed.one("files"),
        ca=printed.one("ca"),
        database=printed.one("database"),
        options=found,
        proxies=found_options.proxies(_variables(printed, unit)),
        registries=printed.files.get(REGISTRIES_FILE, ""),
        nodes=tuple(_node(line) for line in printed.values.get("node", ())),
    )


def _parse(lines: Sequence[str]) -> _Printed:
    values, files = dict[str, list[str]](), dict[str, list[str]]()
    path = ""
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "file":
            path = value
            files[path] = []
        elif name == "text":
            files.setdefault(path, []).append(value)
        else:
            values.setdefault(name, []).append(value)
    texts = {path: base64.b64decode("".join(parts), validate=True).decode() for path, parts in files.items()}
    return _Printed(values, texts)


def _node(line: str) -> FoundNode:
    name, ip, machine_id, version, role = ([escape(part, 253) for part in line.split("|")] + [""] * 5)[:5]
    return FoundNode(name, ip, machine_id, version, role == "true")


def _installation(where: str, printed: _Printed) -> Iterator[Problem]:
    """Whether one whole k3s is installed and runs as its files say."""
    units, binary = printed.values.get("unit", ()), printed.one("binary")
    expected = f"k3s as its install script leaves it: {K3S}, and one unit, k3s.service or k3s-agent.service"
    repair = "install it whole with k3s's install script, or remove it with its uninstall script"
    if not units and not binary:
        yield Problem(where, "no k3s", expected, "python -m k3sgpu new makes a stack file for such machines")
    elif not units or not binary:
        found = f"{escape(binary)} and no unit of k3s" if binary else f"{escape(units[0])} and no program k3s"
        yield Problem(where, found, expected, repair)
    elif len(units) > 1 or units[0].split()[0] not in UNITS or binary != K3S:
        yield Problem(where, f"{escape(', '.join(units))}; {escape(binary)}", expected, repair)
    elif units[0].split()[-1] != "active":
        name = escape(units[0].split()[0])
        yield Problem(
            where, f"{escape(units[0])}", "a k3s that runs", f"systemctl status {name}, and repair it"
        )
    elif changed := printed.values.get("changed", ()):
        yield Problem(
            where,
            f"changed after k3s had started: {escape(', '.join(changed))}",
            "files that k3s has read: nobody knows what it would do with these",
            "restart k3s at a time that suits (or undo the change and touch -d), then run adopt again",
        )


def _options(printed: _Printed, unit: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The options in effect, and what a stack file cannot say. Raises UnreadableError."""
    text = printed.files[f"/etc/systemd/system/{unit}"]
    words = found_options.command_line(text)
    if words[:2] != [K3S, UNITS[unit]]:
        raise UnreadableError(f"ExecStart begins with {escape(' '.join(words[:2]), 80)}, expected {K3S} ROLE")
    flags, unknown = found_options.flag_options(words[2:])
    files = found_options.file_options(
        [text for path, text in printed.files.items() if path.startswith(CONFIG_FILE)]
    )
    variables, other = found_options.variable_options(_variables(printed, unit))
    reasons = [f"the flag {escape(word, 60)}" for word in unknown]
    reasons += [f"the variable {escape(name, 60)} in {unit}.env" for name in other]
    reasons += [f"{name}= in {unit}" for name in found_options.other_environment(text)]
    reasons += [
        f"EnvironmentFile={escape(path, 100)} in {unit}"
        for path in found_options.environment_files(text, unit.removesuffix(".service"))
        if path not in _environment_paths(unit)
    ]
    reasons += [
        f"{path}, which the program would not read" for path in printed.files if _is_elsewhere(path, printed)
    ]
    options = {**variables, **files, **flags}
    reasons += [f"the option {escape(name, 60)}" for name in options if name == "config"]
    return options, reasons


def _environment_paths(unit: str) -> tuple[str, ...]:
    """Where k3s's install script has systemd look for variables, its own file the last."""
    name = unit.removesuffix(".service")
    return f"/etc/default/{name}", f"/etc/sysconfig/{name}", f"/etc/systemd/system/{unit}.env"


def _variables(printed: _Printed, unit: str) -> dict[str, str]:
    path = _environment_paths(unit)[-1]
    text = printed.files[f"/etc/systemd/system/{unit}"]
    is_read = path in found_options.environment_files(text, unit.removesuffix(".service"))
    return found_options.environment(printed.files.get(path, "")) if is_read else {}


def _is_elsewhere(path: str, printed: _Printed) -> bool:
    """Whether a file beside the unit gives k3s flags or variables, which stay there after the takeover."""
    if path.startswith(("/etc/default/", "/etc/sysconfig/")):
        return bool(found_options.environment(printed.files[path]))
    return ".service.d/" in path and any(
        line.lstrip().startswith(("ExecStart", "Environment", "PassEnvironment"))
        for line in printed.files[path].splitlines()
    )


def _inexpressible(where: str, reason: str) -> Problem:
    return Problem(
        where,
        f"{reason}: a stack file has no place for it",
        "k3s's own options, in its unit, its environment file or its config.yaml",
        "take it out or move it into /etc/rancher/k3s/config.yaml, restart k3s, and run adopt again",
    )
