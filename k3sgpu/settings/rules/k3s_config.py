"""Rules of k3s.config: the keys, their values, and the arguments of Kubernetes' programs."""

import ipaddress
import re
from collections.abc import Iterator, Mapping

from k3sgpu.problem import Problem
from k3sgpu.settings.models.component_flags import CHOICES, COMPONENT_FLAGS, LISTS
from k3sgpu.settings.models.flag_values import is_true, wrong_choice, wrong_value
from k3sgpu.settings.models.k3s_config_values import CONFIG_TYPES, has_password
from k3sgpu.settings.models.k3s_flags import KEY_TYPES, flag_arguments, items, key_name
from k3sgpu.settings.models.kubelet_flags import KUBERNETES_MINOR
from k3sgpu.settings.models.secret_texts import TEXT_WITH_SECRET, may_hold_secret
from k3sgpu.settings.pydantic_errors import nearest, show
from k3sgpu.settings.rules.draft import Draft

OWNED_KEYS = re.compile(
    r"(token|agent-token|write-kubeconfig)(-.*)?|server|node-(name|label|taint)|node-(external-)?ip|tls-san"
    r"|disable|cluster-init|(cluster|service)-cidr|flannel-backend|secrets-encryption|kubelet-arg"
    r"|etcd-snapshot-(schedule-cron|retention)|etcd-s3(-.*)?|private-registry|vpn-auth"
    r"|data-dir|https-listen-port|with-node-id|disable-agent"
)
"""Keys of config.yaml that the program sets itself, and the last four, whose defaults it relies on."""
TYPED_KEYS = {
    "cluster-init": "write k3s.initialServer instead",
    "tls-san": "write k3s.tlsSan instead",
    "disable": "write k3s.disable instead",
    "cluster-cidr": "write k3s.clusterCidr instead",
    "service-cidr": "write k3s.serviceCidr instead",
    "flannel-backend": "write k3s.flannelBackend instead",
    "secrets-encryption": "write k3s.secretsEncryption instead",
    "kubelet-arg": "write k3s.kubeletArgs instead, for instance kubeletArgs: {max-pods: 200}",
    "etcd-snapshot-schedule-cron": "write k3s.snapshots.schedule instead",
    "etcd-snapshot-retention": "write k3s.snapshots.retention instead",
    "etcd": "write k3s.snapshots.s3 instead",
    "etcd-s3-access-key": "remove it, and run: pulumi config set --secret s3AccessKey",
    "etcd-s3-secret-key": "remove it, and run with a new key: pulumi config set --secret s3SecretKey",
    "private-registry": "write k3s.registries instead",
    "node-label": "write labels in the pools instead: k3s reads this key only when a Node registers",
    "node-taint": "write taints in the pools instead: k3s reads this key only when a Node registers",
    "node-ip": "write nodeIp in the host instead",
    "node-external-ip": "write externalIp in the host instead",
    "vpn-auth": "remove it, and run with a new join key: pulumi config set --secret vpnAuth",
}
"""Owned keys that the stack file has a key for, and which one. `etcd` stands for all keys etcd-s3…."""

OWNED_ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "kube-apiserver": {
        "service-cluster-ip-range": "write k3s.serviceCidr instead",
        "service-node-port-range": "write k3s.config: {service-node-port-range: ...} instead",
        "advertise-address": "write k3s.config: {advertise-address: ...} instead",
        "bind-address": "write k3s.config: {bind-address: ...} instead",
        "etcd-servers": "write k3s.config: {datastore-endpoint: ...} instead",
    },
    "kube-controller-manager": {
        "cluster-cidr": "write k3s.clusterCidr instead",
        "service-cluster-ip-range": "write k3s.serviceCidr instead",
    },
    "kube-scheduler": {},
    "kube-proxy": {
        "cluster-cidr": "write k3s.clusterCidr instead",
        "hostname-override": "remove it: a node has the name of its host in the stack file",
    },
}
"""By program: arguments that the stack file has another key for, or that the program relies on."""
SET_BY_K3S = frozenset(
    """
    allow-privileged authentication-kubeconfig authorization-kubeconfig cert-dir client-ca-file
    cloud-provider cluster-signing-cert-file cluster-signing-key-file etcd-cafile etcd-certfile etcd-keyfile
    kubeconfig kubelet-certificate-authority kubelet-client-certificate kubelet-client-key master
    proxy-client-cert-file proxy-client-key-file requestheader-client-ca-file root-ca-file secure-port
    service-account-private-key-file service-account-signing-key-file storage-backend tls-cert-file
    tls-private-key-file
    """.split()
)
"""Arguments of these programs that k3s sets to its own files and ports (pkg/daemons/control).

Not bind-address: monitoring needs another one for the scheduler and the controller manager.
"""


def config_keys_are_known(draft: Draft) -> Iterator[Problem]:
    """Refuse keys of k3s.config that the program sets itself or that k3s does not know."""
    for key in draft.settings.k3s.config:
        path, name = f"k3s.config.{key}", key_name(key)
        if OWNED_KEYS.fullmatch(name):
            yield Problem(
                path,
                f"the key {key}",
                "keys that the program does not set itself",
                TYPED_KEYS.get(name)
                or TYPED_KEYS.get(name.partition("-s3")[0], "remove it: the program sets it"),
            )
        elif name not in KEY_TYPES:
            like = nearest(name, (one for one in sorted(KEY_TYPES) if not OWNED_KEYS.fullmatch(one)))
            yield Problem(
                path,
                f"the unknown key {key}",
                "an option of `k3s server` or `k3s agent`, without the dashes; k3s would ignore this one",
                f"write {like} instead of {name}"
                if like
                else "remove it; docs.k3s.io/cli/server has the list",
            )


def config_values_are_valid(draft: Draft) -> Iterator[Problem]:
    """Refuse a value that k3s does not read, and a `+` behind a key that holds no list."""
    for key, value in _free_keys(draft):
        kind = CONFIG_TYPES[KEY_TYPES[key_name(key)]]
        if not kind.accepts(value):
            yield Problem(f"k3s.config.{key}", _show(value), kind.expected, f"write {key}: {kind.example}")
        elif key.endswith("+") and not kind.is_list:
            yield Problem(
                f"k3s.config.{key}",
                f"a + behind {key_name(key)}",
                "a + behind keys that hold a list, to which it appends",
                f"write {key_name(key)} instead of {key}",
            )


def config_holds_no_secrets(draft: Draft) -> Iterator[Problem]:
    """Refuse passwords in k3s.config: others can read a stack file, and the state."""
    for key, value in _free_keys(draft):
        name = key_name(key)
        if name == "datastore-endpoint" and isinstance(value, str) and has_password(value):
            yield Problem(
                f"k3s.config.{key}",
                "an endpoint with a password or a token in it (not shown)",
                "no secrets: others can read a stack file and the state",
                "remove it, and run with a new password: pulumi config set --secret datastoreEndpoint",
            )
        elif name != "datastore-endpoint" and any(
            re.fullmatch(TEXT_WITH_SECRET, str(item)) for item in items({key: value}, key)
        ):
            yield Problem(
                f"k3s.config.{key}",
                "a URL with a password in it (not shown)",
                "no secrets: others can read a stack file and the state",
                "remove the password from the URL",
            )


def program_arguments_are_valid(draft: Draft) -> Iterator[Problem]:
    """Refuse arguments of Kubernetes' programs that are unknown, have a wrong value, or are set by k3s."""
    for program, flags in COMPONENT_FLAGS.items():
        for key in (f"{program}-arg", f"{program}-arg+"):
            written = draft.settings.k3s.config.get(key)
            if written is None or not CONFIG_TYPES["arguments"].accepts(written):
                continue
            for name, value in flag_arguments({key: written}, key).items():
                yield from _argument_problems(draft, f"k3s.config.{key}", program, name, value, flags)


def _argument_problems(
    draft: Draft, where: str, program: str, name: str, value: str, flags: Mapping[str, str]
) -> Iterator[Problem]:
    if name in SET_BY_K3S or name in OWNED_ARGUMENTS[program]:
        yield Problem(
            where,
            f"the argument {name}",
            f"arguments of {program} that k3s does not set itself",
            OWNED_ARGUMENTS[program].get(name, f"remove {name}: k3s sets it"),
        )
    elif name not in flags:
        like = nearest(name, flags)
        yield Problem(
            where,
            f"the unknown argument {name}",
            f"arguments of {program} of Kubernetes 1.{KUBERNETES_MINOR}; k3s does not start with another",
            f"write {like}={value}" if like else f"remove {name}",
            draft.flag_severity,
        )
    elif name != "feature-gates" and (wrong := wrong_value(flags[name], value or "true")):
        yield Problem(where, _show(f"{name}={value}"), wrong.expected, f"write {name}={wrong.example}")
    elif wrong := wrong_choice(name, value, CHOICES, LISTS):
        yield Problem(where, show(f"{name}={value}"), wrong.expected, f"write {name}={wrong.example}")


def containers_can_use_gpus(draft: Draft) -> Iterator[Problem]:
    """Refuse another container runtime than k3s's own beside GPU pools, and k3s without root."""
    config = draft.settings.k3s.config
    gpu_nodes = [node.name for node in draft.settings.nodes if node.gpu]
    for key in ("docker", "container-runtime-endpoint"):
        is_set = is_true(config[key]) if key == "docker" and key in config else bool(config.get(key))
        if is_set and gpu_nodes:
            yield Problem(
                f"k3s.config.{key}",
                f"{_show(config[key])}: another container runtime than k3s's containerd",
                f"k3s's containerd, whose runtime nvidia the GPU nodes need: {', '.join(gpu_nodes)}",
                "remove it",
            )
    if is_true(config.get("rootless")):
        yield Problem(
            "k3s.config.rootless",
            "true",
            "k3s as root: the program runs it as a unit of the system",
            "remove it",
        )
    if is_true(config.get("disable-scheduler")):
        yield Problem(
            "k3s.config.disable-scheduler",
            "true",
            "a scheduler: without one every pod stays Pending, the GPU Operator's as well",
            "remove it",
        )


def addresses_are_reachable(draft: Draft) -> Iterator[Problem]:
    """Refuse a bind-address or advertise-address at which the other nodes do not reach a server."""
    settings = draft.settings
    servers = [node for node in settings.nodes if node.role == "server"]
    own = {server.node_ip for server in servers} if len(servers) == 1 else set()
    only_by_node_ip = {server.address for server in servers} <= own and not settings.k3s.registration_address
    for key, right in (
        ("bind-address", {"0.0.0.0", "::"} | (own if only_by_node_ip else set())),
        ("advertise-address", own | ({settings.k3s.registration_address or ""} if len(servers) > 1 else own)),
    ):
        value = settings.k3s.config.get(key)
        if not isinstance(value, str) or not CONFIG_TYPES["address"].accepts(value) or not servers:
            continue
        address = ipaddress.ip_address(value)
        unreachable = address.is_loopback or (address.is_unspecified and key == "advertise-address")
        if value not in right and (key == "bind-address" or len(servers) > 1 or unreachable):
            yield Problem(
                f"k3s.config.{key}",
                f"{value}, for {len(servers)} server{'s' if len(servers) > 1 else ''}",
                "an address at which every other node reaches each server",
                "remove it: k3s then takes "
                + ("0.0.0.0, all of them" if key == "bind-address" else "the node's address"),
            )


def cluster_dns_is_a_service(draft: Draft) -> Iterator[Problem]:
    """Require that cluster-dns lies in k3s.serviceCidr: it is the address of the Service kube-dns."""
    services = ipaddress.IPv4Network(draft.settings.k3s.service_cidr, strict=False)
    taken = {services[0], services[1], services[-1]}
    for key in ("cluster-dns", "cluster-dns+"):
        for item in items({key: draft.settings.k3s.config.get(key, [])}, key):
            if not CONFIG_TYPES["addresses"].accepts(item):
                continue
            for text in str(item).split(","):
                address = ipaddress.ip_address(text)
                if address.version == 4 and (address not in services or address in taken):
                    yield Problem(
                        f"k3s.config.{key}",
                        text,
                        f"a free address in k3s.serviceCidr, {services}: coredns gets it as a Service",
                        f"remove it, or write {services[10]}, the default; coredns itself asks the servers\n"
                        "that the machines' /etc/resolv.conf names (resolv-conf)",
                    )


def _free_keys(draft: Draft) -> list[tuple[str, object]]:
    """The known keys that are not the program's own, with their values."""
    return [
        (key, value)
        for key, value in draft.settings.k3s.config.items()
        if key_name(key) in KEY_TYPES and not OWNED_KEYS.fullmatch(key_name(key))
    ]


def _show(value: object) -> str:
    """A value as written; never one that may hold a password."""
    if isinstance(value, str) and (may_hold_secret(value) or has_password(value)):
        return "a URL with a password in it (not shown)"
    return show(value)
