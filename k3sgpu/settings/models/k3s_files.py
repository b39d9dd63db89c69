"""The larger keys of the section `k3s`: registries, proxy, snapshots, kubelet arguments."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from k3sgpu.settings.models.addresses import (
    HOST_LIMIT,
    HOST_PORT,
    NoProxy,
    ProxyUrl,
    RegistryName,
    RegistryUrl,
)
from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.grammar import Text, refusal
from k3sgpu.settings.models.names import PATH_LIMIT
from k3sgpu.settings.models.rewrites import Replacement, RewritePattern
from k3sgpu.settings.models.schedules import Schedule


def _kubelet_value(value: Any) -> str:
    if isinstance(value, (str, int)) and str(value).isprintable():
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise refusal("a string, a number, true or false", "write for instance max-pods: 200")


KubeletArgs = dict[
    str,
    Annotated[
        Any, AfterValidator(_kubelet_value), WithJsonSchema({"type": ["string", "integer", "boolean"]})
    ],
]
"""Arguments by name. Which ones the kubelet knows, and their values, are checked by rules.kubelet."""
ENTRIES_LIMIT = 100
HostPath = Annotated[
    str,
    Text(
        "(?:/[!-.0-~]+)+",
        PATH_LIMIT,
        "the absolute path of a file on the hosts, in ASCII and without spaces",
        "write for instance /etc/ssl/certs/registry-ca.pem",
    ),
]
Endpoint = Annotated[
    str,
    Text(
        HOST_PORT,
        HOST_LIMIT + len(":65535"),
        "the HOST or HOST:PORT of the S3 service, without https:// and login",
        "write for instance s3.example.org",
    ),
]
Bucket = Annotated[
    str,
    Text(
        r"(?![0-9.]+$)[a-z0-9](?:-?[a-z0-9]|-+[a-z0-9]|\.[a-z0-9]){2,62}",
        63,
        "the name of a bucket: 3 to 63 lower-case letters, digits, '-' and single dots (Amazon S3)",
        "write for instance k3s-snapshots",
    ),
]
Region = Annotated[
    str,
    Text(
        "[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?",
        63,
        "the region of the bucket: letters, digits, '-' and '_'",
        "write for instance eu-central-1",
    ),
]
BucketFolder = Annotated[
    str,
    Text(
        r"(?!\.{1,2}(?:/|$))[A-Za-z0-9!_.'()*-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9!_.'()*-]+)*",
        255,
        "a folder in the bucket, such as lab or lab/k3s, without a slash at its ends",
        "write for instance folder: lab",
    ),
]
Retention = Annotated[int, Field(ge=1, le=10000)]


class Mirror(Model):
    """The mirror of one registry."""

    endpoints: Annotated[
        tuple[RegistryUrl, ...], Field(strict=False, min_length=1, max_length=ENTRIES_LIMIT)
    ] = Field(
        description="the URLs of the mirrors, https://…, tried in this order",
        examples=["[https://mirror.example.org]"],
    )
    rewrites: Annotated[dict[RewritePattern, Replacement], Field(max_length=ENTRIES_LIMIT)] = Field(
        default={},
        description="replacements of image names at the mirror, by regular expression; default: none",
        examples=['{"^library/(.*)": "docker/$1"}'],
    )


class RegistryTls(Model):
    """The TLS settings of one registry. Its files lie on the hosts."""

    ca_file: HostPath | None = Field(
        default=None,
        description="the path on the hosts of the CA certificate that signed the registry's certificate; "
        "default: the system's CAs",
        examples=["/etc/ssl/certs/registry-ca.pem"],
    )
    cert_file: HostPath | None = Field(
        default=None,
        description="the path on the hosts of a client certificate; default: none",
        examples=["/etc/ssl/certs/registry-client.pem"],
    )
    key_file: HostPath | None = Field(
        default=None,
        description="the path on the hosts of the client certificate's private key; default: none",
        examples=["/etc/ssl/private/registry-client.key"],
    )
    insecure_skip_verify: bool = Field(
        default=False, description="true: do not verify the registry's certificate", examples=[False]
    )


class Registries(Model):
    """k3s's registries.yaml on every node. Credentials are in the secret registryCredentials."""

    mirrors: Annotated[dict[RegistryName, Mirror], Field(max_length=ENTRIES_LIMIT)] = Field(
        default={},
        description="mirrors by registry; * for all other registries",
        examples=["{docker.io: {endpoints: [https://mirror.example.org]}}"],
    )
    tls: Annotated[dict[RegistryName, RegistryTls], Field(max_length=ENTRIES_LIMIT)] = Field(
        default={},
        description="TLS settings by registry",
        examples=["{registry.example.org: {caFile: /etc/ssl/certs/registry-ca.pem}}"],
    )


class Proxy(Model):
    """The HTTP proxy of k3s and containerd. Its password is the secret proxyPassword."""

    http: ProxyUrl | None = Field(
        default=None,
        description="the proxy for http, http://HOST:PORT or http://USER@HOST:PORT",
        examples=["http://proxy.example.org:3128"],
    )
    https: ProxyUrl | None = Field(
        default=None,
        description="the proxy for https, http://HOST:PORT or http://USER@HOST:PORT",
        examples=["http://proxy.example.org:3128"],
    )
    no_proxy: Annotated[tuple[NoProxy, ...], Field(strict=False, max_length=ENTRIES_LIMIT)] = Field(
        default=(),
        description="domains and networks to reach without the proxy, in addition to the cluster's own",
        examples=["[.example.org, 192.0.2.0/24]"],
    )


class SnapshotStore(Model):
    """An S3 bucket for etcd snapshots. Its credentials are the secrets s3AccessKey and s3SecretKey."""

    endpoint: Endpoint | None = Field(
        default=None,
        description="the HOST or HOST:PORT of the S3 service; default: AWS",
        examples=["s3.example.org"],
    )
    bucket: Bucket = Field(description="the name of an existing bucket", examples=["k3s"])
    region: Region | None = Field(
        default=None, description="the region of the bucket", examples=["eu-central-1"]
    )
    folder: BucketFolder | None = Field(
        default=None,
        description="the folder in the bucket; default: its root",
        examples=["lab"],
    )


class Snapshots(Model):
    """When etcd snapshots are taken and where they are kept. k3s's defaults: at 0 and 12 h, the last five."""

    schedule: Schedule | None = Field(
        default=None,
        description="when to take snapshots: five fields of cron (minute hour day month weekday) or @daily; "
        "default: at 0 and 12 h",
        examples=["0 */6 * * *"],
    )
    retention: Retention | None = Field(
        default=None, description="how many snapshots are kept; default: 5", examples=[5]
    )
    s3: SnapshotStore | None = Field(
        default=None,
        alias="s3",
        description="the S3 bucket that snapshots are copied to; default: none",
        examples=["{bucket: k3s}"],
    )
