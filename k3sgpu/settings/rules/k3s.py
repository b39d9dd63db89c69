"""Rules of the section `k3s`: release, config.yaml, components, snapshots and their secrets."""

import re
import shlex
from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.addresses import proxy_user
from k3sgpu.settings.models.k3s_flags import NODE_KEYS, SERVER_KEYS, key_name
from k3sgpu.settings.pydantic_errors import nearest, show
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import RUNTIME_CLASS

OWNED_KEYS = re.compile(
    r"(token|agent-token|write-kubeconfig)(-.*)?|server|node-(name|label|taint)|node-(external-)?ip|tls-san"
    r"|disable|cluster-init|(cluster|service)-cidr|flannel-backend|secrets-encryption|kubelet-arg"
    r"|etcd-snapshot-(schedule-cron|retention)|etcd-s3(-.*)?|private-registry"
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
    "private-registry": "write k3s.registries instead",
    "node-label": "write labels in the pools instead: k3s reads this key only when a Node registers",
    "node-taint": "write taints in the pools instead: k3s reads this key only when a Node registers",
}
"""Owned keys that the stack file has a key for, and which one. `etcd` stands for all keys etcd-s3…."""


def client_certificates_have_keys(draft: Draft) -> Iterator[Problem]:
    """Require both files of a registry's client certificate: containerd reads neither without the other."""
    registries = draft.settings.k3s.registries
    for name, tls in registries.tls.items() if registries else ():
        files = {"certFile": tls.cert_file, "keyFile": tls.key_file}
        missing = [key for key, file in files.items() if not file]
        if len(missing) == 1:
            yield Problem(
                f"k3s.registries.tls.{name}.{missing[0]}",
                "nothing: the key is missing",
                "certFile and keyFile together: a client certificate and its private key",
                f"add `{missing[0]}: /etc/ssl/private/registry-client.pem`, or remove the other",
            )


def release_has_one_source(draft: Draft) -> Iterator[Problem]:
    """Refuse a mirror or an install script beside airGap, which uploads both."""
    for key in ("mirror", "installScriptUrl"):
        if draft.settings.k3s.air_gap and draft.section("k3s").get(key):
            yield Problem(
                f"k3s.{key}",
                f"{show(draft.section('k3s')[key])}, beside airGap: {draft.settings.k3s.air_gap}",
                "one of them: with airGap the whole release is uploaded from this computer",
                f"remove {key}, or airGap",
            )


def install_script_has_sha256(draft: Draft) -> Iterator[Problem]:
    """Require k3s.installScriptSha256 where the script is downloaded: it runs as root."""
    k3s = draft.settings.k3s
    if k3s.mirror.startswith("file:") or k3s.install_script_sha256:
        return
    if "k3s" not in draft.raw or not draft.intact("k3s"):
        return
    yield Problem(
        "k3s.installScriptSha256",
        "nothing: the key is missing",
        "the SHA-256 of install.sh, because it comes over the network and runs as root",
        "read the script, then write what this prints:\n"
        f"curl -fsSL {shlex.quote(k3s.install_script_url)} | sha256sum",
    )


def config_keys_are_known(draft: Draft) -> Iterator[Problem]:
    """Refuse keys of k3s.config that the program sets itself or that k3s does not know."""
    known = NODE_KEYS | SERVER_KEYS
    for key in draft.settings.k3s.config:
        path, name = f"k3s.config.{key}", key_name(key)
        if OWNED_KEYS.fullmatch(name):
            yield Problem(
                path,
                f"the key {key}",
                "keys that the program does not set itself",
                TYPED_KEYS.get(name.partition("-s3")[0], "remove it: the program sets it"),
            )
        elif name not in known:
            like = nearest(name, (one for one in sorted(known) if not OWNED_KEYS.fullmatch(one)))
            yield Problem(
                path,
                f"the unknown key {key}",
                "an option of `k3s server` or `k3s agent`, without the dashes; k3s would ignore this one",
                f"write {like} instead of {name}"
                if like
                else "remove it; docs.k3s.io/cli/server has the list",
            )


def runtimes_are_enabled_with_gpus(draft: Draft) -> Iterator[Problem]:
    """Refuse to disable `runtimes` with GPU nodes: it creates the RuntimeClass of the operator's pods."""
    gpu_nodes = [node.name for node in draft.settings.nodes if node.gpu]
    if "runtimes" in draft.settings.k3s.disable and gpu_nodes:
        yield Problem(
            "k3s.disable",
            "runtimes",
            f"runtimes enabled: GPU nodes ({', '.join(gpu_nodes)}) need its RuntimeClass {RUNTIME_CLASS}",
            "remove runtimes from the list",
        )


def snapshots_need_etcd(draft: Draft) -> Iterator[Problem]:
    """Refuse k3s.snapshots with one server: its default database is SQLite, which k3s does not snapshot."""
    servers = [node for node in draft.settings.nodes if node.role == "server"]
    if draft.settings.k3s.snapshots and len(servers) == 1 and draft.intact("pools"):
        yield Problem(
            "k3s.snapshots",
            "snapshots, with one server",
            "three or five servers: snapshots are taken of etcd, and a single server uses another database",
            "remove k3s.snapshots; docs/guides/operations.md says how to copy a single server's database",
        )


def secrets_match_settings(draft: Draft) -> Iterator[Problem]:
    """Refuse a secret whose setting is missing, and a setting whose secret is missing."""
    if draft.intact("k3s"):
        yield from _proxy_password(draft)
        yield from _s3_keys(draft)


def _proxy_password(draft: Draft) -> Iterator[Problem]:
    proxy = draft.settings.k3s.proxy
    urls = [url for url in (proxy.http, proxy.https) if url] if proxy else []
    has_user, has_password = any(map(proxy_user, urls)), "proxyPassword" in draft.settings.secrets
    if has_password and not has_user:
        yield Problem(
            "k3s.proxy",
            "no proxy with a login name, beside the secret proxyPassword",
            "http://USER@HOST:PORT, the login that the password belongs to",
            "write the login name into k3s.proxy, or run: pulumi config rm proxyPassword",
        )
    if has_user and not has_password:
        yield Problem(
            "k3s.proxy",
            "a login name, and no secret proxyPassword",
            "both or none",
            "pulumi config set --secret proxyPassword",
        )


def _s3_keys(draft: Draft) -> Iterator[Problem]:
    keys, k3s = {"s3AccessKey", "s3SecretKey"}, draft.settings.k3s
    is_set = sorted(keys & draft.settings.secrets)
    if is_set and not (k3s.snapshots and k3s.snapshots.s3):
        yield Problem(
            "k3s.snapshots.s3",
            f"nothing, beside the secret {is_set[0]}",
            "the bucket that the secret belongs to",
            f"write k3s.snapshots.s3, or run: pulumi config rm {is_set[0]}",
        )
    elif len(is_set) == 1:
        (missing,) = keys - {*is_set}
        yield Problem(
            missing,
            "nothing: the secret is missing",
            "s3AccessKey and s3SecretKey, or neither where the hosts themselves may use the bucket",
            f"pulumi config set --secret {missing}",
        )
