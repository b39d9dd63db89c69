"""The types of the values in k3s.config, as k3s reads them."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k3sgpu.settings.models.flag_values import is_address, is_integer
from k3sgpu.settings.models.names import DNS_LABEL, DNS_SUBDOMAIN, LABEL_LIMIT, SUBDOMAIN_LIMIT

SNAPSHOTTERS = ("overlayfs", "fuse-overlayfs", "native", "btrfs", "stargz", "zfs", "devmapper", "blockfile")
"""The snapshotters that k3s builds into its containerd (pkg/containerd/builtins_linux.go)."""
_PATH = re.compile(r"/[!-~]*")
_SOCKET = re.compile(r"(unix://)?/[!-~]+")
_INTERFACE = re.compile(r"[!-.0-~]{1,15}")
_WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
_REGISTRY = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[a-z0-9._/-]*[a-z0-9])?"
_IMAGE = re.compile(
    r"([A-Za-z0-9.-]+(:[0-9]{1,5})?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(@sha256:[0-9a-f]{64})?"
)
_ARGUMENT = re.compile(r"(--?)?[a-z0-9][a-z0-9-]*(=[^\x00-\x1f\x7f]*)?")
_DATASTORE = re.compile(
    r"(postgres|postgresql|mysql|nats|jetstream|sqlite|litestream|memory|http|https|unix|unixs)://[!-~]*"
)
_SECRET_PARAMETER = re.compile(r"[?&;][A-Za-z_-]*(pass|token|secret)[A-Za-z_-]*=", re.IGNORECASE)
_LOCAL_DATASTORE = re.compile(r"(sqlite|litestream|memory)://.*", re.DOTALL)


@dataclass(frozen=True)
class ConfigType:
    """A type of values: what a value must be, an example in YAML, and whether a value is one."""

    expected: str
    example: str
    accepts: Callable[[object], bool]
    is_list: bool = False


def has_password(endpoint: str) -> bool:
    """Whether a datastore's endpoint holds a password or a token.

    The user of a NATS endpoint without a password is a token.
    """
    scheme, _, rest = endpoint.partition("://")
    user, at, _ = rest.rpartition("@")
    in_login = bool(at) and (":" in user or scheme in ("nats", "jetstream"))
    return in_login or bool(_SECRET_PARAMETER.search(rest))


def is_external(endpoint: object) -> bool:
    """Whether a datastore's endpoint is a database that several servers can share."""
    return isinstance(endpoint, str) and "://" in endpoint and not _LOCAL_DATASTORE.fullmatch(endpoint)


def is_datastore(text: str) -> bool:
    """Whether k3s's kine (pkg/drivers of github.com/k3s-io/kine v0.17) has a driver for this endpoint."""
    return bool(_DATASTORE.fullmatch(text))


def _text(accepts: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value.isprintable() and accepts(value)


def _texts(accepts: Callable[[str], bool]) -> Callable[[object], bool]:
    """One text or a list of them."""
    one = _text(accepts)
    return lambda value: all(map(one, value)) if isinstance(value, list) else one(value)


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: bool(pattern.fullmatch(text))


def _one_of(*choices: str) -> ConfigType:
    return ConfigType(f"one of {', '.join(choices)}", choices[0], lambda value: value in choices)


def _is_whole(value: object) -> bool:
    return not isinstance(value, bool) and is_integer(str(value), 32)


def _is_number(lowest: int, highest: int) -> Callable[[object], bool]:
    return lambda value: _is_whole(value) and lowest <= int(str(value)) <= highest


def _is_unicast(text: str) -> bool:
    return is_address(text) and not ipaddress.ip_address(text).is_multicast


def _is_domain(text: str) -> bool:
    if len(text) > SUBDOMAIN_LIMIT or not re.fullmatch(DNS_SUBDOMAIN, text):
        return False
    return all(len(label) <= LABEL_LIMIT for label in text.split("."))


def _is_port_range(text: str) -> bool:
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", text)
    return bool(found) and 1 <= int(found[1]) <= int(found[2]) <= 65535


_BOOLEANS = ("true", "false", "True", "False", "TRUE", "FALSE")
CONFIG_TYPES: Mapping[str, ConfigType] = {
    "flag": ConfigType("true or false", "true", lambda value: isinstance(value, bool) or value in _BOOLEANS),
    "number": ConfigType("a number from 0 to 100", "1", _is_number(0, 100)),
    "port": ConfigType("a port, 1 to 65535", "6444", _is_number(1, 65535)),
    "path": ConfigType("an absolute path on the hosts", "/etc/rancher/k3s/FILE", _text(_matches(_PATH))),
    "socket": ConfigType(
        "the path of a socket on the hosts", "/run/containerd/containerd.sock", _text(_matches(_SOCKET))
    ),
    "interface": ConfigType("the name of a network interface", "eth1", _text(_matches(_INTERFACE))),
    "runtime": ConfigType("the name of a containerd runtime", "nvidia", _text(_matches(_WORD))),
    "word": ConfigType("a name of letters, digits, '.', '_' and '-'", "k3s", _text(_matches(_WORD))),
    "image": ConfigType("an image", "rancher/mirrored-pause:3.6", _text(_matches(_IMAGE))),
    "registry": ConfigType(
        "a registry without https://", "registry.example.org", _text(_matches(re.compile(_REGISTRY)))
    ),
    "registries": ConfigType(
        "a registry without https://, or a list of them",
        "[registry.example.org]",
        _texts(_matches(re.compile(_REGISTRY))),
        is_list=True,
    ),
    "address": ConfigType("an IP address", "10.0.0.11", _text(_is_unicast)),
    "addresses": ConfigType(
        "an IP address, or a list of them",
        "10.43.0.10",
        _texts(lambda text: all(map(_is_unicast, text.split(",")))),
        is_list=True,
    ),
    "domain": ConfigType("a DNS domain in lower case", "cluster.local", _text(_is_domain)),
    "names": ConfigType(
        "a DNS name, or a list of them", "[gpu.example.org]", _texts(_is_domain), is_list=True
    ),
    "namespace": ConfigType(
        "the name of a namespace",
        "kube-system",
        _text(lambda text: len(text) <= LABEL_LIMIT and bool(re.fullmatch(DNS_LABEL, text))),
    ),
    "port range": ConfigType("a range of ports, such as 30000-32767", "30000-32767", _text(_is_port_range)),
    "egress mode": _one_of("agent", "cluster", "pod", "disabled"),
    "encryption provider": _one_of("aescbc", "secretbox"),
    "snapshotter": _one_of(*SNAPSHOTTERS),
    "datastore": ConfigType(
        "the endpoint of a database: postgres://, mysql://, nats://, or https:// for etcd",
        "https://etcd.example.org:2379",
        _text(is_datastore),
    ),
    "arguments": ConfigType("a list of NAME=VALUE", "[v=2]", _texts(_matches(_ARGUMENT)), is_list=True),
    "text": ConfigType("a text in one line", "a text", _text(lambda text: True)),
}
"""By name. `text` is the type of keys whose values are not checked further; most are set by the program."""
