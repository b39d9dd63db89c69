"""k3s's options on a machine: flags in the unit, environment, config.yaml, in k3s's order of precedence.

Sources: pkg/configfilearg and pkg/cli/cmds of github.com/k3s-io/k3s, docs.k3s.io/installation/configuration.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

import yaml

from k3sgpu.settings.models.k3s_flags import KEY_TYPES, key_name

K3S = "/usr/local/bin/k3s"
CONFIG_FILE = "/etc/rancher/k3s/config.yaml"
REGISTRIES_FILE = "/etc/rancher/k3s/registries.yaml"

Options = Mapping[str, tuple[str, ...]]
"""By option, without dashes: its values. A flag without a value has `true`."""

ALIASES = {
    "t": "token",
    "s": "server",
    "d": "data-dir",
    "i": "node-ip",
    "o": "write-kubeconfig",
    "c": "config",
    "no-deploy": "disable",  # until v1.24
}
VARIABLES = {
    "K3S_TOKEN": "token",
    "K3S_TOKEN_FILE": "token-file",
    "K3S_URL": "server",
    "K3S_NODE_NAME": "node-name",
    "K3S_AGENT_TOKEN": "agent-token",
    "K3S_AGENT_TOKEN_FILE": "agent-token-file",
    "K3S_CLUSTER_INIT": "cluster-init",
    "K3S_CLUSTER_SECRET": "token",
    "K3S_CONFIG_FILE": "config",
    "K3S_DATA_DIR": "data-dir",
    "K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
    "K3S_DATASTORE_CAFILE": "datastore-cafile",
    "K3S_DATASTORE_CERTFILE": "datastore-certfile",
    "K3S_DATASTORE_KEYFILE": "datastore-keyfile",
    "K3S_DEBUG": "debug",
    "K3S_KUBECONFIG_GROUP": "write-kubeconfig-group",
    "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
    "K3S_KUBECONFIG_OUTPUT": "write-kubeconfig",
    "K3S_RESOLV_CONF": "resolv-conf",
    "K3S_SELINUX": "selinux",
}
"""Variables that k3s reads where neither a flag nor a file says anything, and the option of each."""
_S3_SWITCHES = ("etcd-s3", "etcd-s3-skip-ssl-verify", "etcd-s3-insecure")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class UnreadableError(Exception):
    """A file that cannot be read as k3s and systemd do. The text says why, without a value."""


def command_line(unit: str) -> list[str]:
    """The words of ExecStart. Raises UnreadableError unless there is one such line that systemd does not
    expand."""
    joined = re.sub(r"\\\n", " ", unit)
    lines = re.findall(r"^[ \t]*ExecStart[ \t]*=(.*)$", joined, re.MULTILINE)
    if len(lines) != 1:
        raise UnreadableError(f"{len(lines)} lines ExecStart=, expected one")
    if re.search(r"[%$]", lines[0]):
        raise UnreadableError("ExecStart has a % or a $, which systemd expands")
    try:
        return shlex.split(lines[0])
    except ValueError as error:
        raise UnreadableError(f"ExecStart: {error}") from None


def other_environment(unit: str) -> list[str]:
    """The names of settings that give k3s an environment beside the files that are read."""
    found = re.findall(r"^[ \t]*(Environment|PassEnvironment)[ \t]*=", unit, re.MULTILINE)
    return sorted(set(found))


def environment_files(unit: str, name: str) -> list[str]:
    """The paths of EnvironmentFile, which systemd reads. `name`: the unit without .service, for %N."""
    found = re.findall(r"^[ \t]*EnvironmentFile[ \t]*=[ \t]*-?(.*?)[ \t]*$", unit, re.MULTILINE)
    return [path.replace("%N", name) for path in found if path]


def flag_options(words: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The options of a command line, and the words that are none of k3s's options."""
    options, unknown, rest = dict[str, tuple[str, ...]](), list[str](), list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.lstrip("-").partition("=")
        name = ALIASES.get(name, name)
        if not word.startswith("-") or not (
            name in KEY_TYPES or name == "config" or name.startswith("etcd-s3")
        ):
            unknown.append(word.partition("=")[0])
            continue
        if not has_value:
            is_switch = KEY_TYPES.get(name) == "flag" or name in _S3_SWITCHES
            value = "true" if is_switch else rest.pop(0) if rest else ""
        options[name] = (*options.get(name, ()), value)
    return options, unknown


def file_options(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The options of config.yaml and then of config.yaml.d, in order. Raises UnreadableError."""
    options = dict[str, tuple[str, ...]]()
    for text in texts:
        try:
            # k3s makes flags of the values, so they are texts: 0644 is no number.
            document = yaml.load(text, Loader=yaml.BaseLoader) or {}
        except yaml.YAMLError:
            raise UnreadableError("no YAML") from None
        if not isinstance(document, dict):
            raise UnreadableError("not a mapping of options")
        for key, value in document.items():
            name = ALIASES.get(key_name(key), key_name(key))
            values = tuple(_texts(name, value))
            options[name] = (*options.get(name, ()), *values) if key.endswith("+") else values
    return options


def _texts(name: str, value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str):
            raise UnreadableError(f"{name} is not a value or a list of values")
        yield item


def environment(text: str) -> dict[str, str]:
    """The variables of an environment file, as systemd reads it. Raises UnreadableError."""
    values = dict[str, str]()
    for line in text.splitlines():
        name, is_one, rest = line.strip().partition("=")
        if not is_one or name.startswith(("#", ";")):
            continue
        try:
            values[name.strip()] = " ".join(shlex.split(rest))
        except ValueError:
            raise UnreadableError(f"{name}: quotes that do not end") from None
    return values


def variable_options(variables: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The options that variables set, and the names of variables that a stack file has no place for."""
    known = {VARIABLES[name]: (value,) for name, value in variables.items() if name in VARIABLES and value}
    other = [name for name in variables if name not in VARIABLES and name.upper() not in PROXIES]
    return known, other


def proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """By name in upper case: the variables about a proxy."""
    return {name.upper(): value for name, value in variables.items() if name.upper() in PROXIES}
