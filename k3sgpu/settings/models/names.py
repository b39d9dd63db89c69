"""Types of strings in a stack file: names, labels, addresses, paths. Each refuses with a remedy."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from k3sgpu.gpu_products import PRODUCT_SUFFIX, product_label, without_suffixes

NO_SHARING = "none"
"""The profile that shares nothing: it always exists and must not be defined."""

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
"""A network interface: Linux allows 15 characters (IFNAMSIZ)."""
MIG_PROFILE = re.compile(r"[1-9]\d?g\.[1-9]\d*gb([+-][a-z]+(\.[a-z]+)*)?")
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
TAINT = re.compile(rf"({DNS_SUBDOMAIN.pattern}/)?{LABEL_VALUE.pattern}(=({LABEL_VALUE.pattern})?)?")
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
LABEL_LIMIT = 63
PROFILE_LIMIT = LABEL_LIMIT - len("-12345678")
"""The ConfigMap key `<profile>-<hash8>` is also a node label's value: 63 characters at most."""


def refusal(expected: str, remedy: str) -> PydanticCustomError:
    """An error for a validator to raise, with the text that the user reads."""
    return PydanticCustomError("refusal", "{expected}", {"expected": expected, "remedy": remedy})


def _suggestion(text: str) -> str:
    """A valid name that is similar to `text`."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:LABEL_LIMIT].strip("-") or "node-1"


def _kubernetes_name(what: str, pattern: re.Pattern[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if pattern.fullmatch(text) and len(text) <= LABEL_LIMIT:
            return text
        dots = ", dots" if pattern is DNS_SUBDOMAIN else ""
        raise refusal(
            f"{what}: lower-case letters, digits{dots} and '-', a letter or digit at both ends, "
            f"at most {LABEL_LIMIT} characters (RFC 1123)",
            f"write {_suggestion(text)}",
        )

    return check


def _label_value(text: str) -> str:
    if text == "" or (LABEL_VALUE.fullmatch(text) and len(text) <= LABEL_LIMIT):
        return text
    raise refusal(
        f"a Kubernetes label value: letters, digits, '.', '_' and '-', at most {LABEL_LIMIT} characters",
        "write the value as `kubectl get node --show-labels` shows it",
    )


def _label_key(text: str) -> str:
    prefix, _, name = text.rpartition("/")
    well_prefixed = DNS_SUBDOMAIN.fullmatch(prefix) if "/" in text else True
    if well_prefixed and len(prefix) <= 253 and LABEL_VALUE.fullmatch(name) and len(name) <= LABEL_LIMIT:
        return text
    raise refusal("a Kubernetes label key, such as accelerator or nvidia.com/gpu.product", "correct the key")


def _taint(text: str) -> str:
    pair, _, effect = text.rpartition(":")
    if TAINT.fullmatch(pair) and effect in TAINT_EFFECTS:
        return text
    raise refusal(
        f"a taint, key=value:Effect or key:Effect, with the effect {', '.join(TAINT_EFFECTS)}",
        "write for instance team=red:NoSchedule",
    )


def _profile_name(text: str) -> str:
    if text == NO_SHARING:
        raise refusal(
            f"another name: the profile {NO_SHARING} always exists and shares nothing",
            f"rename the profile, or remove it and write `profile: {NO_SHARING}` in the pool",
        )
    if LABEL_VALUE.fullmatch(text) and len(text) <= PROFILE_LIMIT:
        return text
    raise refusal(
        "a name of letters, digits, '.', '_' and '-', a letter or digit at both ends, at most "
        f"{PROFILE_LIMIT} characters (with its hash it becomes a ConfigMap key and a node label's value)",
        "choose such a name, for instance 2080ti-12gb",
    )


def _product(text: str) -> str:
    whole = without_suffixes(text)
    if whole != text:
        raise refusal(
            f"the product without {text.removeprefix(whole)}, which NVIDIA's feature discovery adds\n"
            "to shared cards (-SHARED) and to partitions (-MIG-...)",
            f"write {whole or 'NVIDIA-GeForce-RTX-2080-Ti'}",
        )
    if LABEL_VALUE.fullmatch(text) and len(text) <= LABEL_LIMIT:
        return text
    label = product_label(text)
    valid = LABEL_VALUE.fullmatch(label) and len(label) <= LABEL_LIMIT
    raise refusal(
        "the product as in the node label nvidia.com/gpu.product: nvidia-smi's name with '-' for each space\n"
        "and only letters, digits, '.', '_' and '-'",
        f"write {label if valid else 'NVIDIA-GeForce-RTX-2080-Ti'}",
    )


def _address(text: str) -> str:
    example = "write for instance 10.0.0.11"
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise refusal(
            "the host's IPv4 address; no DNS name, because k3s uses it as node-ip", example
        ) from None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise refusal("an address at which the other nodes reach this host", example)
    return text


def _host_name(text: str) -> str:
    if HOST_NAME.fullmatch(text) and len(text) <= 253:
        return text
    raise refusal(
        "a name or an IPv4 address, without user and port", "write for instance bastion.example.org"
    )


def _interface(text: str) -> str:
    if INTERFACE.fullmatch(text):
        return text
    raise refusal(
        "the name of a network interface: letters, digits, '.', '_' and '-', at most 15 characters",
        "write a name that `ip addr` shows on the host, for instance eth1",
    )


def _resource(text: str) -> str:
    domain, _, name = text.partition("/")
    if name and DNS_SUBDOMAIN.fullmatch(domain) and LABEL_VALUE.fullmatch(name) and len(name) <= LABEL_LIMIT:
        return text
    raise refusal(
        "an extended resource, such as nvidia.com/gpu or nvidia.com/gpu.shared", "write nvidia.com/gpu"
    )


def _key_path(text: str) -> str:
    if "\n" in text or not text.strip():
        raise refusal(
            "the path of a key file, not the key itself (this value is not shown)",
            "write the path, or keep the key as a secret: pulumi config set --secret sshPrivateKey < KEYFILE",
        )
    return text


def _mig_profile(text: str) -> str:
    if MIG_PROFILE.fullmatch(text):
        return text
    raise refusal(
        "a MIG profile as `nvidia-smi mig -lgip` names it, such as 1g.5gb, 3g.20gb or 1g.10gb+me",
        "write for instance 1g.5gb",
    )


def _schema(pattern: str, limit: int | None = None) -> WithJsonSchema:
    """The part of the check that JSON Schema can express."""
    length = {"maxLength": limit} if limit else {}
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", **length})


_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

Name = Annotated[
    str,
    AfterValidator(_kubernetes_name("a Kubernetes name", DNS_LABEL)),
    _schema(DNS_LABEL.pattern, LABEL_LIMIT),
]
NodeName = Annotated[
    str,
    AfterValidator(_kubernetes_name("a Kubernetes node name", DNS_SUBDOMAIN)),
    _schema(DNS_SUBDOMAIN.pattern, LABEL_LIMIT),
]
LabelKey = Annotated[
    str, AfterValidator(_label_key), _schema(f"({DNS_SUBDOMAIN.pattern}/)?{LABEL_VALUE.pattern}")
]
LabelValue = Annotated[str, AfterValidator(_label_value), _schema(f"({LABEL_VALUE.pattern})?", LABEL_LIMIT)]
Taint = Annotated[str, AfterValidator(_taint), _schema(f"{TAINT.pattern}:({'|'.join(TAINT_EFFECTS)})")]
ProfileName = Annotated[
    str,
    AfterValidator(_profile_name),
    _schema(f"(?!{NO_SHARING}$){LABEL_VALUE.pattern}", PROFILE_LIMIT),
]
Product = Annotated[
    str, AfterValidator(_product), _schema(f"(?!.*{PRODUCT_SUFFIX}$){LABEL_VALUE.pattern}", LABEL_LIMIT)
]
MigProfile = Annotated[str, AfterValidator(_mig_profile), _schema(MIG_PROFILE.pattern)]
Address = Annotated[str, AfterValidator(_address), _schema(rf"(?!(0|127)\.)({_OCTET}\.){{3}}{_OCTET}")]
HostName = Annotated[str, AfterValidator(_host_name), _schema(HOST_NAME.pattern, 253)]
Interface = Annotated[str, AfterValidator(_interface), _schema(INTERFACE.pattern)]
Resource = Annotated[
    str, AfterValidator(_resource), _schema(f"{DNS_SUBDOMAIN.pattern}/{LABEL_VALUE.pattern}")
]
KeyPath = Annotated[str, AfterValidator(_key_path), _schema(r"[^\n]*[^\s][^\n]*")]
