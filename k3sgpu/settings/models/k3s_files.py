"""The larger keys of the section `k3s`: registries, proxy, snapshots, networks, kubelet arguments."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.names import HOST_NAME, refusal

_HOST = HOST_NAME.pattern.replace("(", "(?:")
_PROXY = re.compile(rf"https?://(?:(?P<user>[A-Za-z0-9._~-]+)@)?{_HOST}:\d{{1,5}}")
_WITH_PASSWORD = re.compile(r"https?://[^/@\s]*:[^/@\s]*@.*")
_CRON_FIELD = r"[0-9*/,A-Za-z-]+"


def _network(shortest: int, longest: int, example: str) -> AfterValidator:
    """A validator for an IPv4 network whose prefix length lies in this range."""

    def check(text: str) -> str:
        expected = f"an IPv4 network, /{shortest} to /{longest}, such as {example}"
        try:
            network = ipaddress.IPv4Network(text, strict=False)
        except ValueError:
            raise refusal(expected, f"write for instance {example}") from None
        if not shortest <= network.prefixlen <= longest or "/" not in text:
            raise refusal(expected, f"write for instance {example}")
        return text

    return AfterValidator(check)


def _looks_like_network(shortest: int, longest: int) -> WithJsonSchema:
    lengths = "|".join(str(length) for length in range(shortest, longest + 1))
    return WithJsonSchema({"type": "string", "pattern": rf"^\d{{1,3}}(\.\d{{1,3}}){{3}}/({lengths})$"})


PodNetwork = Annotated[str, _network(8, 24, "10.42.0.0/16"), _looks_like_network(8, 24)]
ServiceNetwork = Annotated[str, _network(12, 28, "10.43.0.0/16"), _looks_like_network(12, 28)]


def _proxy(text: str) -> str:
    if _WITH_PASSWORD.fullmatch(text):
        raise refusal(
            "the URL of a proxy without a password: others can read a stack file",
            "write http://USER@HOST:PORT, and set the password: pulumi config set --secret proxyPassword",
        )
    if _PROXY.fullmatch(text):
        return text
    raise refusal(
        "the URL of a proxy, http://HOST:PORT or http://USER@HOST:PORT",
        "write for instance http://proxy.example.org:3128",
    )


def _kubelet_value(value: Any) -> str:
    if isinstance(value, (str, int)) and str(value).isprintable():
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise refusal("a string, a number, true or false", "write for instance max-pods: 200")


ProxyUrl = Annotated[
    str, AfterValidator(_proxy), WithJsonSchema({"type": "string", "pattern": r"^https?://[^/:\s]+:\d{1,5}$"})
]
NoProxy = Annotated[str, StringConstraints(pattern=re.compile(r"^[^\s,]+$"))]
KubeletArgs = dict[
    str,
    Annotated[
        Any, AfterValidator(_kubelet_value), WithJsonSchema({"type": ["string", "integer", "boolean"]})
    ],
]
"""Arguments by name. Which ones the kubelet knows, and their values, are checked by rules.kubelet."""
RegistryName = Annotated[str, StringConstraints(pattern=re.compile(rf"^(\*|{HOST_NAME.pattern}(:\d+)?)$"))]
RegistryUrl = Annotated[str, StringConstraints(pattern=re.compile(r"^https?://[^\s/@]+(/[^\s@]*)?$"))]
HostPath = Annotated[str, StringConstraints(pattern=re.compile(r"^/[^\s]+$"))]
Schedule = Annotated[
    str,
    StringConstraints(
        pattern=re.compile(rf"^(@(hourly|daily|weekly|monthly|yearly)|{_CRON_FIELD}( {_CRON_FIELD}){{4}})$")
    ),
]


class Mirror(Model):
    """The mirror of one registry."""

    endpoints: Annotated[tuple[RegistryUrl, ...], Field(strict=False, min_length=1)] = Field(
        description="the URLs of the mirrors, https://…, tried in this order",
        examples=["[https://mirror.example.org]"],
    )
    rewrites: dict[str, str] = Field(
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

    mirrors: dict[RegistryName, Mirror] = Field(
        default={},
        description="mirrors by registry; * for all other registries",
        examples=["{docker.io: {endpoints: [https://mirror.example.org]}}"],
    )
    tls: dict[RegistryName, RegistryTls] = Field(
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
    no_proxy: Annotated[tuple[NoProxy, ...], Field(strict=False)] = Field(
        default=(),
        description="domains and networks to reach without the proxy, in addition to the cluster's own",
        examples=["[.example.org, 192.0.2.0/24]"],
    )


class SnapshotStore(Model):
    """An S3 bucket for etcd snapshots. Its credentials are the secrets s3AccessKey and s3SecretKey."""

    endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="the HOST or HOST:PORT of the S3 service; default: AWS",
        examples=["s3.example.org"],
    )
    bucket: str = Field(min_length=3, description="the name of an existing bucket", examples=["k3s"])
    region: str | None = Field(
        default=None, min_length=1, description="the region of the bucket", examples=["eu-central-1"]
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
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
    retention: int | None = Field(
        default=None, ge=1, description="how many snapshots are kept; default: 5", examples=[5]
    )
    s3: SnapshotStore | None = Field(
        default=None,
        alias="s3",
        description="the S3 bucket that snapshots are copied to; default: none",
        examples=["{bucket: k3s}"],
    )


def proxy_user(proxy: str) -> str | None:
    """The login name in a proxy's URL; None without one."""
    found = _PROXY.fullmatch(proxy)
    return found["user"] if found else None
