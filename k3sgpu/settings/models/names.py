"""Types of names in a stack file: of Kubernetes objects, GPU products, network interfaces and local paths."""

import re
from typing import Annotated

from k3sgpu.gpu_products import PRODUCT_SUFFIX, product_label, without_suffixes
from k3sgpu.settings.models.grammar import ANYTHING, UNPRINTABLE, Refused, Text

NO_SHARING = "none"
"""The profile that shares nothing: it always exists and must not be defined."""

DNS_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
DNS_SUBDOMAIN = rf"{DNS_LABEL}(?:\.{DNS_LABEL})*"
LABEL_VALUE = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
SHORT_LABEL_VALUE = r"(?=[A-Za-z0-9._-]{1,63}(?![A-Za-z0-9._-]))" + LABEL_VALUE
"""A label's value or the name in its key, with its limit of 63 characters, inside a longer text."""
LABEL_KEY = rf"(?:(?=[^/]{{1,253}}/){DNS_SUBDOMAIN}/)?{SHORT_LABEL_VALUE}"
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
LABEL_LIMIT = 63
SUBDOMAIN_LIMIT = 253
KEY_LIMIT = SUBDOMAIN_LIMIT + 1 + LABEL_LIMIT
PROFILE_LIMIT = LABEL_LIMIT - len("-12345678")
"""The ConfigMap key `<profile>-<hash8>` is also a node label's value: 63 characters at most."""
INTERFACE_LIMIT = 15
"""Of an interface's name in Linux (IFNAMSIZ, with the NUL at its end)."""
PATH_LIMIT = 4095
"""The longest path that Linux takes (PATH_MAX, with the NUL at its end)."""


def _suggestion(text: str) -> str:
    """The advice to write a valid name that is similar to `text`."""
    like = re.sub(r"[^a-z0-9-]+", "-", text[:LABEL_LIMIT].lower()).strip("-")
    return f"write {like or 'node-1'}"


def _kubernetes_name(what: str, pattern: str, limit: int = LABEL_LIMIT) -> Text:
    dots = ", dots" if pattern is DNS_SUBDOMAIN else ""
    return Text(
        pattern,
        limit,
        f"{what}: lower-case letters, digits{dots} and '-', a letter or digit at both ends, "
        f"at most {limit} characters (RFC 1123)",
        _suggestion,
    )


def _product_remedy(text: str) -> str:
    """The advice to write the label that NVIDIA makes of the product's name."""
    label = product_label(text)
    valid = re.fullmatch(LABEL_VALUE, label) and len(label) <= LABEL_LIMIT
    return f"write {label if valid else 'NVIDIA-GeForce-RTX-2080-Ti'}"


Name = Annotated[str, _kubernetes_name("a Kubernetes name", DNS_LABEL)]
NodeName = Annotated[str, _kubernetes_name("a Kubernetes node name", DNS_SUBDOMAIN)]
SecretName = Annotated[
    str, _kubernetes_name("the name of a Kubernetes Secret", DNS_SUBDOMAIN, SUBDOMAIN_LIMIT)
]
LabelKey = Annotated[
    str,
    Text(
        LABEL_KEY,
        KEY_LIMIT,
        "a Kubernetes label key, such as accelerator or nvidia.com/gpu.product: a name of at most "
        f"{LABEL_LIMIT} letters, digits, '.', '_' and '-', which a lower-case domain may precede",
        "correct the key",
    ),
]
LabelValue = Annotated[
    str,
    Text(
        f"(?:{LABEL_VALUE})?",
        LABEL_LIMIT,
        f"a Kubernetes label value: letters, digits, '.', '_' and '-', at most {LABEL_LIMIT} characters",
        "write the value as `kubectl get node --show-labels` shows it",
    ),
]
Taint = Annotated[
    str,
    Text(
        f"{LABEL_KEY}(?:=(?:{SHORT_LABEL_VALUE})?)?:(?:{'|'.join(TAINT_EFFECTS)})",
        KEY_LIMIT + len("=") + LABEL_LIMIT + len(":PreferNoSchedule"),
        f"a taint, key=value:Effect or key:Effect, with the effect {', '.join(TAINT_EFFECTS)};\n"
        f"the key's name and the value have at most {LABEL_LIMIT} characters",
        "write for instance team=red:NoSchedule",
        (
            Refused(
                rf"node\.kubernetes\.io/{ANYTHING}|node\.cloudprovider\.kubernetes\.io/{ANYTHING}",
                "a taint that Kubernetes does not set and remove itself",
                "remove it; to keep pods off a node for a while, run: kubectl cordon NODE",
            ),
        ),
    ),
]
PROFILE_EXPECTED = (
    "a name of letters, digits, '.', '_' and '-', a letter or digit at both ends, at most "
    f"{PROFILE_LIMIT} characters (with its hash it becomes a ConfigMap key and a node label's value)"
)
ProfileName = Annotated[
    str,
    Text(
        LABEL_VALUE,
        PROFILE_LIMIT,
        PROFILE_EXPECTED,
        "choose such a name, for instance 2080ti-12gb",
        (
            Refused(
                NO_SHARING,
                f"another name: the profile {NO_SHARING} always exists and shares nothing",
                f"rename the profile, or remove it and write `profile: {NO_SHARING}` in the pool",
            ),
        ),
    ),
]
ProfileReference = Annotated[
    str, Text(LABEL_VALUE, PROFILE_LIMIT, f"a profile's name, or {NO_SHARING}", f"write {NO_SHARING}")
]
Product = Annotated[
    str,
    Text(
        LABEL_VALUE,
        LABEL_LIMIT,
        "the product as in the node label nvidia.com/gpu.product: nvidia-smi's name with '-' for each space\n"
        "and only letters, digits, '.', '_' and '-'",
        _product_remedy,
        (
            Refused(
                f"{ANYTHING}{PRODUCT_SUFFIX}",
                lambda text: (
                    f"the product without {text.removeprefix(without_suffixes(text))}, which NVIDIA's "
                    "feature discovery adds\nto shared cards (-SHARED) and to partitions (-MIG-...)"
                ),
                lambda text: f"write {without_suffixes(text) or 'NVIDIA-GeForce-RTX-2080-Ti'}",
            ),
        ),
    ),
]
MigProfile = Annotated[
    str,
    Text(
        r"[1-9][0-9]?g\.[1-9][0-9]*gb(?:[+-][a-z]+(?:\.[a-z]+)*)?",
        LABEL_LIMIT - len("mig-"),
        "a MIG profile as `nvidia-smi mig -lgip` names it, such as 1g.5gb, 3g.20gb or 1g.10gb+me",
        "write for instance 1g.5gb",
    ),
]
Interface = Annotated[
    str,
    Text(
        "[A-Za-z0-9][A-Za-z0-9_.-]*",
        INTERFACE_LIMIT,
        f"the name of a network interface: at most {INTERFACE_LIMIT} letters, digits, '.', '_' and '-'",
        "write a name that `ip addr` shows on the host, for instance eth1",
    ),
]
Resource = Annotated[
    str,
    Text(
        rf"(?=[^/]{{1,253}}/){DNS_SUBDOMAIN}/{SHORT_LABEL_VALUE}",
        KEY_LIMIT,
        "an extended resource, such as nvidia.com/gpu or nvidia.com/gpu.shared",
        "write nvidia.com/gpu",
    ),
]
LOCAL_PATH = rf"[^{UNPRINTABLE}]*[^{UNPRINTABLE}\s][^{UNPRINTABLE}]*"
"""A path on this computer: any characters that can be printed, not only blanks."""
SHELL_PATH = Refused(
    rf"~|~[^/]{ANYTHING}|(?:{ANYTHING}/)?\$(?:[A-Za-z0-9_]+|\{{[A-Za-z0-9_]+\}})(?:/{ANYTHING})?",
    "a path: only ~/ is expanded, and neither ~user nor $VARIABLE",
    "write the whole path, or one that begins with ~/",
)
"""A path that only a shell expands."""
NOT_A_PATH = Refused(
    rf"[A-Za-z][A-Za-z0-9+.-]*://{ANYTHING}|-----BEGIN{ANYTHING}",
    "the path of a file on this computer, neither a URL nor the file's text (this value is not shown)",
    "write the path, for instance one that begins with ~/",
)
"""What is often pasted in place of a path."""
KeyPath = Annotated[
    str,
    Text(
        LOCAL_PATH,
        PATH_LIMIT,
        "the path of a key file, not the key itself (this value is not shown)",
        "write the path, or keep the key as a secret: pulumi config set --secret sshPrivateKey < KEYFILE",
        (SHELL_PATH, NOT_A_PATH),
    ),
]
KubeconfigPath = Annotated[
    str,
    Text(
        LOCAL_PATH,
        PATH_LIMIT,
        "the path of a kubeconfig file",
        "write for instance ~/.kube/config, or keep its text as a secret:\n"
        "pulumi config set --secret clusterKubeconfig < FILE",
        (SHELL_PATH, NOT_A_PATH),
    ),
]
