"""What k3s reads beside its config.yaml: registries and proxy; and where etcd's snapshots go."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from k3sgpu.settings.models.base import Model
from k3sgpu.settings.models.names import HOST_NAME, refusal

_HOST = HOST_NAME.pattern.replace("(", "(?:")
_PROXY = re.compile(rf"https?://(?:(?P<user>[A-Za-z0-9._~-]+)@)?{_HOST}:\d{{1,5}}")
_WITH_PASSWORD = re.compile(r"https?://[^/@\s]*:[^/@\s]*@.*")
_FIELD = r"[0-9*/,A-Za-z-]+"
_KUBELET_ARG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
OWNED_KUBELET_ARGS = {
    "node-labels": "write labels in the pools instead",
    "register-with-taints": "write taints in the pools instead",
    "node-ip": "write nodeIp at the host instead",
    "hostname-override": "remove it: a node is called as its host in the stack file",
}
"""Arguments of the kubelet that the program decides itself, and what to write instead."""


def _network(shortest: int, longest: int, example: str) -> AfterValidator:
    """An IPv4 network whose prefix has a length in this range."""

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
            "a proxy's address without a password: a stack file can be read by many",
            "write http://USER@HOST:PORT, and the password: pulumi config set --secret proxyPassword",
        )
    if _PROXY.fullmatch(text):
        return text
    raise refusal(
        "a proxy's address, http://HOST:PORT or http://USER@HOST:PORT",
        "write for instance http://proxy.example.org:3128",
    )


def _kubelet_arg(text: str) -> str:
    if text in OWNED_KUBELET_ARGS:
        raise refusal("arguments that the program does not decide itself", OWNED_KUBELET_ARGS[text])
    if _KUBELET_ARG.fullmatch(text):
        return text
    raise refusal(
        "the name of an argument of the kubelet, without dashes in front",
        f"write {text.strip('-').partition('=')[0] or 'max-pods'}: VALUE",
    )


def _kubelet_value(value: Any) -> str:
    if isinstance(value, (str, int)) and "\n" not in str(value):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise refusal("a text, a number, true or false", "write for instance max-pods: 200")


ProxyUrl = Annotated[
    str, AfterValidator(_proxy), WithJsonSchema({"type": "string", "pattern": r"^https?://[^/:\s]+:\d{1,5}$"})
]
NoProxy = Annotated[str, StringConstraints(pattern=re.compile(r"^[^\s,]+$"))]
KubeletArgs = dict[
    Annotated[
        str,
        AfterValidator(_kubelet_arg),
        WithJsonSchema({"pattern": f"^(?!({'|'.join(OWNED_KUBELET_ARGS)})$){_KUBELET_ARG.pattern}$"}),
    ],
    Annotated[
        Any, AfterValidator(_kubelet_value), WithJsonSchema({"type": ["string", "integer", "boolean"]})
    ],
]
RegistryName = Annotated[str, StringConstraints(pattern=re.compile(rf"^(\*|{HOST_NAME.pattern}(:\d+)?)$"))]
RegistryUrl = Annotated[str, StringConstraints(pattern=re.compile(r"^https?://[^\s/@]+(/[^\s@]*)?$"))]
HostPath = Annotated[str, StringConstraints(pattern=re.compile(r"^/[^\s]+$"))]
Schedule = Annotated[
    str,
    StringConstraints(
        pattern=re.compile(rf"^(@(hourly|daily|weekly|monthly|yearly)|{_FIELD}( {_FIELD}){{4}})$")
    ),
]


class Mirror(Model):
    """Where the images of one registry come from instead."""

    endpoints: Annotated[tuple[RegistryUrl, ...], Field(strict=False, min_length=1)] = Field(
        description="addresses to ask in this order, https://…", examples=["[https://mirror.example.org]"]
    )
    rewrites: dict[str, str] = Field(
        default={},
        description="what becomes of an image's name there, by regular expression",
        examples=['{"^library/(.*)": "docker/$1"}'],
    )


class RegistryTls(Model):
    """How a registry proves who it is. Files are the machines' own."""

    ca_file: HostPath | None = Field(
        default=None,
        description="the path, on the machines, of the authority that signed the registry's certificate",
        examples=["/etc/ssl/certs/registry-ca.pem"],
    )
    cert_file: HostPath | None = Field(
        default=None,
        description="the path, on the machines, of a client's certificate",
        examples=["/etc/ssl/certs/registry-client.pem"],
    )
    key_file: HostPath | None = Field(
        default=None,
        description="the path, on the machines, of that certificate's key",
        examples=["/etc/ssl/private/registry-client.key"],
    )
    insecure_skip_verify: bool = Field(
        default=False, description="true: whoever answers is believed", examples=[False]
    )


class Registries(Model):
    """k3s's registries.yaml, on every node. Who logs in is the secret registryCredentials."""

    mirrors: dict[RegistryName, Mirror] = Field(
        default={},
        description="by registry, or * for all others: where its images come from",
        examples=["{docker.io: {endpoints: [https://mirror.example.org]}}"],
    )
    tls: dict[RegistryName, RegistryTls] = Field(
        default={},
        description="by registry: how it proves who it is",
        examples=["{registry.example.org: {caFile: /etc/ssl/certs/registry-ca.pem}}"],
    )


class Proxy(Model):
    """Through which proxy k3s and containerd reach the world."""

    http: ProxyUrl | None = Field(
        default=None,
        description="the proxy for http, http://HOST:PORT",
        examples=["http://proxy.example.org:3128"],
    )
    https: ProxyUrl | None = Field(
        default=None,
        description="the proxy for https, http://HOST:PORT",
        examples=["http://proxy.example.org:3128"],
    )
    no_proxy: Annotated[tuple[NoProxy, ...], Field(strict=False)] = Field(
        default=(),
        description="what is reached directly, besides all that belongs to the cluster",
        examples=["[.example.org, 192.0.2.0/24]"],
    )


class SnapshotStore(Model):
    """A bucket for etcd's snapshots. Its keys are the secrets s3AccessKey and s3SecretKey."""

    endpoint: str | None = Field(
        default=None, min_length=1, description="the service's HOST or HOST:PORT", examples=["s3.example.org"]
    )
    bucket: str = Field(min_length=3, description="the bucket, which is there already", examples=["k3s"])
    region: str | None = Field(
        default=None, min_length=1, description="the bucket's region", examples=["eu-central-1"]
    )
    folder: str | None = Field(
        default=None, min_length=1, description="a folder in the bucket", examples=["lab"]
    )


class Snapshots(Model):
    """When etcd's snapshots are taken, and where they are kept. k3s's own: 0 and 12 h, the last five."""

    schedule: Schedule | None = Field(
        default=None,
        description="when, as five fields of cron (minute hour day month weekday) or @daily",
        examples=["0 */6 * * *"],
    )
    retention: int | None = Field(default=None, ge=1, description="how many are kept", examples=[5])
    s3: SnapshotStore | None = Field(
        default=None, alias="s3", description="the bucket they are copied to", examples=["{bucket: k3s}"]
    )


def proxy_user(proxy: str) -> str | None:
    """The login name in a proxy's address."""
    found = _PROXY.fullmatch(proxy)
    return found["user"] if found else None
