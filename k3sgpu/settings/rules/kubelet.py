"""Rules of the kubelets' arguments (kubeletArgs): their names and their values.

The kubelet runs inside k3s: an argument that it refuses ends k3s, on servers first.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from k3sgpu.problem import Problem, Severity
from k3sgpu.settings.models.flag_values import Wrong, is_quantity, pairs, wrong_choice, wrong_value
from k3sgpu.settings.models.kubelet_flags import (
    CHOICES,
    ENFORCEMENTS,
    FIELDS_WITHOUT_FLAG,
    FLAGS_BY_FIELD,
    FOLDERS_AND_FILES,
    FREE_GATES,
    KUBELET_FLAGS,
    KUBERNETES_MINOR,
    LISTS,
    LOCKED_GATES,
    RANGES,
    RESERVABLE,
    SIGNALS,
)
from k3sgpu.settings.models.secret_texts import may_hold_secret
from k3sgpu.settings.pydantic_errors import nearest, show
from k3sgpu.settings.rules.draft import Draft

DROP_INS = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d"
"""The folder on a host whose KubeletConfiguration files k3s hands to the kubelet (docs.k3s.io)."""
_SET_BY_K3S = "remove it: k3s sets it, and does not work with another value"
OWNED_ARGS: Mapping[str, str] = {
    "node-labels": "write labels in the pools instead",
    "register-with-taints": "write taints in the pools instead",
    "node-ip": "write nodeIp in the host instead",
    "hostname-override": "remove it: a node has the name of its host in the stack file",
    "cluster-dns": "write k3s.config: {cluster-dns: ...} instead",
    "cluster-domain": "write k3s.config: {cluster-domain: ...} instead",
    "protect-kernel-defaults": "write k3s.config: {protect-kernel-defaults: true} instead",
    "container-runtime-endpoint": "write k3s.config: {container-runtime-endpoint: ...} instead",
    "image-service-endpoint": "write k3s.config: {image-service-endpoint: ...} instead",
    "config-dir": f"remove it, and put files into {DROP_INS} on the hosts",
    **dict.fromkeys(
        """
        address bootstrap-kubeconfig cert-dir cgroup-driver client-ca-file cloud-provider containerd
        containerd-namespace kubeconfig kubelet-cgroups pod-cidr pod-manifest-path provider-id runtime-cgroups
        tls-cert-file tls-private-key-file
        """.split(),
        _SET_BY_K3S,
    ),
}
"""Arguments that the program or k3s sets itself (k3s's pkg/daemons/agent), and what to write instead."""
SECRET_ARGS = ("manifest-url-header", "storage-driver-password")
"""Arguments whose value is a secret."""
SHARED_FOLDERS = frozenset(
    "/bin /boot /dev /etc /home /lib /opt /proc /root /run /sbin /srv /sys /tmp /usr /var".split()
)
"""Folders of the system: the root-dir of a kubelet is at least two levels below one of them."""
_PERCENTAGE = re.compile(r"(100|[1-9]?[0-9])(\.[0-9]+)?%")
_CPUS = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")
_PATH = re.compile(r"/[^\s]*")
_SYSCTL = re.compile(
    r"kernel[./]sem|(kernel[./](shm|msg)|fs[./]mqueue[./]|net[./])([a-z0-9_-]+[./])*([a-z0-9_-]+\*?|\*)?"
)
"""Namespaced sysctls (pkg/kubelet/sysctl/allowlist.go and component-helpers/node/util/sysctl)."""


def arguments_are_known(draft: Draft) -> Iterator[Problem]:
    """Refuse an argument that k3s or the program sets itself, and one that the kubelet does not have."""
    for place, args in _places(draft):
        for name, value in args.items():
            if name in OWNED_ARGS:
                yield Problem(
                    f"{place}.{name}",
                    f"the argument {name}",
                    "an argument that the program and k3s do not set themselves",
                    OWNED_ARGS[name],
                )
            elif name not in KUBELET_FLAGS:
                yield _unknown_argument(f"{place}.{name}", name, value, draft.flag_severity)


def argument_values_are_valid(draft: Draft) -> Iterator[Problem]:
    """Refuse a value that the kubelet does not accept, and secrets, which others can read here."""
    for place, args in _places(draft):
        for name, value in args.items():
            if name not in KUBELET_FLAGS or name in OWNED_ARGS:
                continue
            where = f"{place}.{name}"
            if name in SECRET_ARGS or may_hold_secret(value):
                yield Problem(
                    where,
                    "a secret in plain text (not shown)",
                    "no secrets: others can read a stack file, the state and a kubelet's arguments",
                    f"remove it, and put the setting into a file in {DROP_INS} on the hosts",
                )
            elif name == "feature-gates" and not wrong_value("gates", value):
                yield from _gate_problems(where, value, draft.flag_severity)
            elif wrong := _wrong_value(name, value):
                yield Problem(where, show(value), wrong.expected, f"write {name}: {wrong.example}")


def _wrong_value(name: str, value: str) -> Wrong | None:
    """What is expected instead of this value; None where it is right."""
    kind = KUBELET_FLAGS[name]
    if kind == "reserved":
        return _wrong_reservation(value)
    if kind == "thresholds":
        return _wrong_thresholds(value)
    if wrong := wrong_value(kind, value):
        return wrong
    if wrong := wrong_choice(name, value, CHOICES, LISTS):
        return wrong
    if name in RANGES and not RANGES[name][0] <= int(value) <= RANGES[name][1]:
        lowest, highest = RANGES[name]
        example = "110" if name == "max-pods" else str(max(lowest, min(highest, int(value))))
        return Wrong(f"a number from {lowest} to {highest}", example)
    return _wrong_text(name, value)


def _wrong_text(name: str, value: str) -> Wrong | None:
    """What is expected instead of a text for which the flag has a form of its own; None where it is right."""
    if name == "root-dir" and not _is_own_folder(value):
        return Wrong(
            "an absolute path of a folder that nothing else uses: it is removed with the host",
            "/data/kubelet",
        )
    if name in FOLDERS_AND_FILES and value and not _PATH.fullmatch(value):
        return Wrong("an absolute path on the host", f"/etc/kubernetes/{name}")
    if name == "allowed-unsafe-sysctls" and value and not all(map(_SYSCTL.fullmatch, value.split(","))):
        return Wrong(
            "a list of sysctls that Linux keeps by pod: kernel.sem, kernel.shm…, kernel.msg…, fs.mqueue.…\n"
            "and net.…, with or without a * at the end",
            '"net.core.somaxconn,kernel.msg*"',
        )
    if name == "reserved-cpus" and not _CPUS.fullmatch(value):
        return Wrong("a list of CPUs, such as 0-1,8", '"0-1"')
    if name == "container-log-max-size" and not is_quantity(value):
        return Wrong("a quantity, such as 10Mi", "10Mi")
    if name == "enforce-node-allocatable" and set(value.split(",")) - {*ENFORCEMENTS, ""}:
        return Wrong(f"a list of {', '.join(ENFORCEMENTS)}", "pods")
    if name == "eviction-minimum-reclaim" and not _is_by_signal(pairs(value), _is_amount):
        return Wrong(
            f"a list SIGNAL=QUANTITY, with the signals {', '.join(SIGNALS)}", '"memory.available=500Mi"'
        )
    if name == "eviction-soft-grace-period" and not _is_by_signal(pairs(value), _is_duration):
        return Wrong(
            f"a list SIGNAL=DURATION, with the signals {', '.join(SIGNALS)}", '"memory.available=30s"'
        )
    return None


def _wrong_reservation(value: str) -> Wrong | None:
    found = pairs(value)
    if all(name in RESERVABLE and is_quantity(text) and text[0] != "-" for name, text in found.items()):
        return None
    expected = f"a list RESOURCE=QUANTITY, with the resources {', '.join(RESERVABLE)}"
    return Wrong(expected, '"cpu=500m,memory=1Gi"')


def _wrong_thresholds(value: str) -> Wrong | None:
    if _is_by_signal(pairs(value, "<"), _is_amount):
        return None
    expected = f"a list SIGNAL<QUANTITY or SIGNAL<PERCENTAGE, with the signals {', '.join(SIGNALS)}"
    return Wrong(expected, '"memory.available<500Mi"')


def _is_by_signal(found: Mapping[str, str], is_value: Callable[[str], bool]) -> bool:
    return all(name in SIGNALS and is_value(text) for name, text in found.items())


def _is_amount(text: str) -> bool:
    return bool(_PERCENTAGE.fullmatch(text)) or (is_quantity(text) and not text.startswith("-"))


def _is_duration(text: str) -> bool:
    return wrong_value("duration", text) is None


def _is_own_folder(path: str) -> bool:
    parts = path.split("/")[1:]
    if not _PATH.fullmatch(path) or len(parts) < 2 or not set(parts).isdisjoint({"", ".", ".."}):
        return False
    return f"/{parts[0]}" not in SHARED_FOLDERS or len(parts) > 2


def _gate_problems(where: str, value: str, severity: Severity) -> Iterator[Problem]:
    for gate, text in pairs(value).items():
        if gate not in FREE_GATES and gate not in LOCKED_GATES:
            like = nearest(gate, (*FREE_GATES, *LOCKED_GATES))
            yield Problem(
                where,
                f"the unknown feature gate {gate}",
                f"a feature gate of Kubernetes 1.{KUBERNETES_MINOR}: the kubelet does not start with another",
                f"write {like}={text} instead of {gate}={text}" if like else f"remove {gate}",
                severity,
            )
        elif gate in LOCKED_GATES and LOCKED_GATES[gate] != (text.lower() in ("1", "t", "true")):
            yield Problem(
                where,
                f"{gate}={text}",
                f"{gate}={str(LOCKED_GATES[gate]).lower()}: Kubernetes 1.{KUBERNETES_MINOR} has locked it",
                f"remove {gate}",
                severity,
            )


def _unknown_argument(where: str, name: str, value: str, severity: Severity) -> Problem:
    return Problem(
        where,
        f"the unknown argument {name}",
        f"an argument of the kubelet of Kubernetes 1.{KUBERNETES_MINOR}, without leading dashes; k3s "
        "does not start with another",
        _remedy_for_unknown(name, value),
        severity,
    )


def _remedy_for_unknown(name: str, value: str) -> str:
    """The flag of that name in another spelling with its value, or where the setting belongs."""
    if name.replace("-", "").lower() in map(str.lower, FIELDS_WITHOUT_FLAG):
        return (
            f"remove it, and put this field of a KubeletConfiguration into a file in {DROP_INS} on the hosts"
        )
    bare, _, behind = name.strip("-").partition("=")
    spelled = FLAGS_BY_FIELD.get(bare) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", "-", bare).lower()
    like = spelled if spelled in KUBELET_FLAGS else nearest(spelled, KUBELET_FLAGS)
    if not like:
        return "remove it; kubernetes.io/docs/reference/command-line-tools-reference/kubelet has the list"
    if like in OWNED_ARGS:
        return OWNED_ARGS[like]
    written = behind or value
    return f"write {like}: {written if not _wrong_value(like, written) else 'VALUE'}"


def _places(draft: Draft) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The path of each kubeletArgs, and its arguments."""
    yield "k3s.kubeletArgs", draft.settings.k3s.kubelet_args
    for pool_name, pool in draft.settings.pools.items():
        yield f"pools.{pool_name}.kubeletArgs", pool.kubelet_args
        for name, host in pool.hosts.items():
            yield f"pools.{pool_name}.hosts.{name}.kubeletArgs", host.kubelet_args
