"""Rules of the section `k3s`: registries, proxy, release, components, snapshots, and secrets of all these."""

import ipaddress
import shlex
from collections.abc import Iterator

from k3sgpu.problem import Problem
from k3sgpu.settings.models.addresses import proxy_user
from k3sgpu.settings.pydantic_errors import show
from k3sgpu.settings.rules.draft import Draft
from k3sgpu.wellknown import RUNTIME_CLASS

TAILSCALE_NETWORK = ipaddress.IPv4Network("100.64.0.0/10")
"""The network of all Tailscale addresses (tailscale.com/kb/1015)."""


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


def proxy_has_an_address(draft: Draft) -> Iterator[Problem]:
    """Refuse a proxy without an address, which does nothing."""
    proxy = draft.settings.k3s.proxy
    if proxy and not proxy.http and not proxy.https and draft.intact("k3s", "proxy"):
        yield Problem(
            "k3s.proxy",
            "neither http nor https",
            "the address of the proxy: without it noProxy does nothing",
            "write for instance https: http://proxy.example.org:3128, or remove proxy",
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
    """Refuse k3s.snapshots without etcd: k3s takes snapshots of nothing else.

    A single server uses SQLite.
    """
    if draft.settings.k3s.snapshots and draft.settings.external_database:
        yield Problem(
            "k3s.snapshots",
            "snapshots, with a database outside of the cluster",
            "etcd inside the cluster: k3s takes snapshots of nothing else",
            "remove k3s.snapshots, and back the database up with its own tools",
        )
        return
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
        yield from _database(draft)
        yield from _vpn(draft)


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


def _database(draft: Draft) -> Iterator[Problem]:
    config, secret = draft.settings.k3s.config, "datastoreEndpoint" in draft.settings.secrets
    servers = [node for node in draft.settings.nodes if node.role == "server"]
    endpoint = config.get("datastore-endpoint")
    if secret and endpoint:
        yield Problem(
            "k3s.config.datastore-endpoint",
            "an endpoint, beside the secret datastoreEndpoint",
            "one of the two",
            "remove it here, or run: pulumi config rm datastoreEndpoint",
        )
    if endpoint and len(servers) > 1 and not draft.settings.external_database:
        yield Problem(
            "k3s.config.datastore-endpoint",
            f"a database on each of {len(servers)} servers",
            "a database that all servers share, or none: they then share etcd",
            "remove it, or write the endpoint of a database outside of the cluster",
        )
    files = [key for key in ("datastore-certfile", "datastore-keyfile") if key in config]
    if len(files) == 1:
        yield Problem(
            f"k3s.config.{files[0]}",
            f"{files[0]} alone",
            "datastore-certfile and datastore-keyfile, or neither",
            "write both",
        )


def _vpn(draft: Draft) -> Iterator[Problem]:
    secret, file = "vpnAuth" in draft.settings.secrets, "vpn-auth-file" in draft.settings.k3s.config
    place = "k3s.config.vpn-auth-file" if file else "k3s"
    if secret and file:
        yield Problem(
            place,
            "a file, beside the secret vpnAuth",
            "one of the two",
            "remove it here, or run: pulumi config rm vpnAuth",
        )
    others = [
        node.name
        for node in draft.settings.machines
        if ipaddress.ip_address(node.node_ip) not in TAILSCALE_NETWORK
    ]
    if (secret or file) and others:
        yield Problem(
            place,
            f"Tailscale, and addresses outside of {TAILSCALE_NETWORK}: {', '.join(others)}",
            "hosts whose nodeIp is their Tailscale address: k3s takes that one instead of nodeIp",
            "run `tailscale up` on the machines, and write each nodeIp: what `tailscale ip -4` prints",
            "warning",
        )
