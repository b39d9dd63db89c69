"""The section `k3s`: the release to install, where it comes from, and its configuration."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from k3sgpu.settings.models.addresses import (
    CertificateName,
    MirrorUrl,
    PodNetwork,
    RegistrationAddress,
    ScriptUrl,
    ServiceNetwork,
)
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import Counter, Seconds, Text
from k3sgpu.settings.models.k3s_files import (
    KubeletArgs,
    Proxy,
    Registries,
    Snapshots,
)
from k3sgpu.settings.models.k3s_flags import SERVER_KEYS, key_name
from k3sgpu.settings.models.names import LOCAL_PATH, PATH_LIMIT, SHELL_PATH, NodeName

RELEASES = "https://github.com/k3s-io/k3s/releases/download"
UPLOADED_RELEASES = "file:///usr/local/lib/k3s-gpu-sharing/release"
"""The mirror of a host whose releases are uploaded (airGap): a folder of this program, deleted on removal."""
INSTALL_SCRIPT = "https://raw.githubusercontent.com/k3s-io/k3s/{version}/install.sh"
CLUSTER_CIDR, SERVICE_CIDR, FLANNEL_BACKEND = "10.42.0.0/16", "10.43.0.0/16", "vxlan"
"""k3s's own defaults (docs.k3s.io/cli/server)."""

Version = Annotated[
    str,
    Text(
        r"v[0-9]{1,3}(?:\.[0-9]{1,3}){2}\+k3s[0-9]{1,3}",
        20,
        "the k3s release, vX.Y.Z+k3sN; not a channel such as `stable`, whose release changes",
        "write for instance v1.36.2+k3s1",
    ),
]
Sha256 = Annotated[
    str, Text("[0-9a-f]{64}", 64, "a SHA-256, 64 lower-case hex digits", "write what sha256sum prints")
]
Folder = Annotated[
    str,
    Text(
        f"(?![A-Za-z][A-Za-z0-9+.-]*://){LOCAL_PATH}",
        PATH_LIMIT,
        "a folder on this computer, no URL",
        "write for instance airGap: releases",
        (SHELL_PATH,),
    ),
]
Component = Literal["coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes"]
Architecture = Literal["amd64", "arm64"]


def _default_mirror(data: dict[str, Any]) -> str:
    return UPLOADED_RELEASES if data["air_gap"] else RELEASES


def _default_install_script(data: dict[str, Any]) -> str:
    mirror, version = data["mirror"], data["version"]
    return (
        f"{mirror}/{version}/install.sh"
        if mirror.startswith("file:")
        else INSTALL_SCRIPT.format(version=version)
    )


class K3s(Model):
    """Which k3s release the hosts get, from where, and with which configuration."""

    version: Version = Field(
        description="the k3s release, vX.Y.Z+k3sN; not a channel such as `stable`, whose release changes",
        examples=["v1.36.2+k3s1"],
    )
    air_gap: Folder | None = Field(
        default=None,
        description="a folder on this computer with releases (FOLDER/VERSION/k3s) to upload to hosts that "
        "cannot download them; default: the hosts download from mirror",
        examples=["releases"],
    )
    mirror: MirrorUrl = Field(
        default_factory=_default_mirror,
        description="the base URL of the releases, https://… or file:///… without a slash at the end; "
        "default: k3s's releases on GitHub",
        examples=[RELEASES],
    )
    install_script_url: ScriptUrl = Field(
        default_factory=_default_install_script,
        description="the URL of k3s's install.sh, https://… or file:///…; default: the script at the "
        "release's tag, or in a file:///… mirror beside the release",
        examples=[INSTALL_SCRIPT.format(version="v1.36.2+k3s1")],
    )
    install_script_sha256: Sha256 | None = Field(
        default=None,
        description="the SHA-256 of install.sh, 64 lower-case hex digits; required when it is downloaded",
        examples=["(what sha256sum prints)"],
    )
    binary_sha256: Annotated[dict[Architecture, Sha256], Field(max_length=2)] = Field(
        default={},
        description="the SHA-256 of the k3s binary by architecture (amd64, arm64), 64 lower-case hex digits "
        "each; default: that in the release's own checksum file",
        examples=["{amd64: (what sha256sum prints)}"],
    )
    initial_server: NodeName | None = Field(
        default=None,
        description="the server that creates the database which the other servers join; required with "
        "several servers",
        examples=["server-1"],
    )
    registration_address: RegistrationAddress | None = Field(
        default=None,
        description="the name or address at which agents and the kubeconfig reach the servers, such as a "
        "load balancer; required with several servers, default: the server's address",
        examples=["k3s.example.org"],
    )
    disable: Annotated[tuple[Component, ...], Field(strict=False, max_length=20)] = Field(
        default=(), description="k3s components not to install", examples=["[traefik]"]
    )
    tls_san: Annotated[tuple[CertificateName, ...], Field(strict=False, max_length=100)] = Field(
        default=(),
        description="further names and addresses in the API server's certificate",
        examples=["[k3s.example.org]"],
    )
    cluster_cidr: PodNetwork = Field(
        default=CLUSTER_CIDR,
        description="the network of the pods, /8 to /24; each node gets a /24 of it; fixed once the cluster "
        "exists",
        examples=["10.42.0.0/16"],
    )
    service_cidr: ServiceNetwork = Field(
        default=SERVICE_CIDR,
        description="the network of the services, /12 to /28; fixed once the cluster exists",
        examples=["10.43.0.0/16"],
    )
    flannel_backend: Literal["vxlan", "host-gw", "wireguard-native"] = Field(
        default=FLANNEL_BACKEND,
        description="how flannel connects pods of different nodes; fixed once the cluster exists",
        examples=["wireguard-native"],
    )
    secrets_encryption: bool = Field(
        default=True,
        description="true: encrypt Kubernetes Secrets in the database; fixed once the cluster exists",
        examples=[True],
    )
    kubelet_args: KubeletArgs = Field(
        default={},
        description="arguments of every kubelet, without leading dashes; a pool and a host may override them",
        examples=["{max-pods: 200}"],
    )
    registries: Registries | None = Field(
        default=None,
        description="the image registries' mirrors and certificates on every node; default: the registries "
        "themselves",
        examples=["{mirrors: {docker.io: {endpoints: [https://mirror.example.org]}}}"],
    )
    proxy: Proxy | None = Field(
        default=None,
        description="the HTTP proxy of k3s and containerd; default: none",
        examples=["{https: http://proxy.example.org:3128}"],
    )
    snapshots: Snapshots | None = Field(
        default=None,
        description="when etcd snapshots are taken and where they are kept; default: as k3s does",
        examples=["{retention: 14}"],
    )
    config: dict[str, JsonValue] = Field(
        default={},
        description="further keys of k3s's config.yaml; keys that only servers read go to servers alone",
        examples=["{default-runtime: nvidia}"],
    )
    start_timeout_seconds: Seconds = Field(
        default=300, description="seconds k3s may take to start on a host", examples=[300]
    )
    drain_on_patch: bool = Field(
        default=False,
        description="true: drain nodes also before upgrades within a minor version",
        examples=[True],
    )
    drain_timeout_seconds: Seconds = Field(
        default=300,
        description="seconds a node's pods may take to end when it is drained",
        examples=[300],
    )
    max_unavailable: int = Field(
        default=1, ge=1, le=1000, description="how many agents may be changed at the same time", examples=[1]
    )
    protect: bool = Field(
        default=False,
        description="true: Pulumi refuses to delete servers; to delete one, write false and run `pulumi up`",
        examples=["true"],
    )
    generation: Counter = Field(
        default=0,
        description="a number to raise when the next `pulumi up` shall check and converge all hosts again",
        examples=[1],
    )

    @property
    def node_config(self) -> dict[str, JsonValue]:
        """The keys of `config` that servers and agents both read."""
        return {key: value for key, value in self.config.items() if key_name(key) not in SERVER_KEYS}

    @property
    def server_config(self) -> dict[str, JsonValue]:
        """The keys of config.yaml for servers; an agent would log them and restart for nothing.

        k3s's own defaults are left out: a cluster created without these keys refuses them later.
        """
        typed = {
            "cluster-cidr": (self.cluster_cidr, CLUSTER_CIDR),
            "service-cidr": (self.service_cidr, SERVICE_CIDR),
            "flannel-backend": (self.flannel_backend, FLANNEL_BACKEND),
        }
        changed: dict[str, JsonValue] = {
            key: value for key, (value, default) in typed.items() if value != default
        }
        config = {key: value for key, value in self.config.items() if key_name(key) in SERVER_KEYS}
        return config | changed | {"secrets-encryption": self.secrets_encryption} | self._snapshot_config

    @property
    def _snapshot_config(self) -> dict[str, JsonValue]:
        snapshots = self.snapshots or Snapshots()
        store = snapshots.s3
        keys: dict[str, JsonValue] = {
            "etcd-snapshot-schedule-cron": snapshots.schedule,
            "etcd-snapshot-retention": snapshots.retention,
        }
        if store:
            keys["etcd-s3"] = True
            keys |= {f"etcd-s3-{name}": value for name, value in store.model_dump().items()}
        return {key: value for key, value in keys.items() if value is not None}
