"""Addresses, host names, ports, networks and URLs in a stack file. Each type refuses with a remedy."""

import ipaddress
from typing import Annotated

from k3sgpu.settings.models.grammar import ANYTHING, Refused, Text, Words, refusal
from k3sgpu.settings.models.secret_texts import URL_LOGIN, URL_WITH_SECRET

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
PORT = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
"""1 to 65535."""
_HOST_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN = rf"(?:{_HOST_LABEL}\.)*(?![0-9]+(?![A-Za-z0-9-]))(?!0[Xx]){_HOST_LABEL}"
"""A DNS name (RFC 1123). Its last label is no number: resolvers read 10.0.0.999 as a wrong address."""
HOST = f"(?:{IPV4}|{DOMAIN})"
HOST_PORT = f"{HOST}(?::{PORT})?"
HOST_LIMIT = 253
_IPV6 = "[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"
URL_LIMIT = 2048
PATH_CHARACTERS = "[A-Za-z0-9._~!$&'()*+,;=:@%-]"
"""Of a segment of a URL's path (RFC 3986)."""
_HOST_EXPECTED = "a name or an IPv4 address, without user and port"
_SPECIAL_NETWORKS = (
    (r"127\.", "no loopback address, which every machine has"),
    (r"0\.", "no unspecified address"),
    (r"169\.254\.", "no link-local address, which is not routed"),
    (r"2(?:2[4-9]|3[0-9])\.", "no multicast address"),
    (r"2(?:4[0-9]|5[0-5])\.", "no reserved or broadcast address"),
)
"""By the start of an address: what no host may have (RFC 6890)."""


def _special(remedy: str) -> tuple[Refused, ...]:
    return tuple(
        Refused(
            f"(?={IPV4}(?:/[0-9]+)?(?![0-9.])){start}{ANYTHING}",
            f"an address at which the other nodes reach this host: {no}",
            remedy,
        )
        for start, no in _SPECIAL_NETWORKS
    )


_ADDRESS_EXAMPLE = "write for instance 10.0.0.11"
ADDRESS = Text(
    IPV4,
    len("255.255.255.255"),
    "the host's IPv4 address; no DNS name, because k3s uses it as node-ip",
    _ADDRESS_EXAMPLE,
    _special(_ADDRESS_EXAMPLE),
)
Address = Annotated[str, ADDRESS]
HostName = Annotated[str, Text(HOST, HOST_LIMIT, _HOST_EXPECTED, "write for instance bastion.example.org")]
_REGISTRATION_EXAMPLE = "write for instance k3s.example.org"
RegistrationAddress = Annotated[
    str,
    Text(
        HOST,
        HOST_LIMIT,
        _HOST_EXPECTED,
        _REGISTRATION_EXAMPLE,
        (
            *_special(_REGISTRATION_EXAMPLE),
            Refused(
                rf"(?:{ANYTHING}\.)?localhost",
                "an address at which the other nodes reach the servers: localhost is each node itself",
                _REGISTRATION_EXAMPLE,
            ),
        ),
    ),
]


def _check_ipv6(text: str) -> None:
    if ":" in text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise refusal(_SAN_EXPECTED, _SAN_EXAMPLE) from None


_SAN_EXPECTED = "a DNS name or an address, without https:// and port (k3s leaves out wildcards)"
_SAN_EXAMPLE = "write for instance k3s.example.org"
CertificateName = Annotated[
    str,
    Text(f"{HOST}|{_IPV6}", HOST_LIMIT, _SAN_EXPECTED, _SAN_EXAMPLE, further=_check_ipv6),
]
"""A name that k3s puts into its certificate. It drops others: cnRegexp in rancher/dynamiclistener."""


def _network(shortest: int, longest: int, example: str) -> Text:
    """A type for an IPv4 network whose prefix length lies in this range."""
    expected = f"an IPv4 network, /{shortest} to /{longest}, such as {example}"
    remedy = f"write for instance {example}"

    def check(text: str) -> None:
        network = ipaddress.IPv4Network(text, strict=False)
        for special in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"):
            if network.overlaps(ipaddress.IPv4Network(special)):
                raise refusal(f"{expected}, without the addresses of {special}", remedy)

    lengths = "|".join(str(length) for length in range(shortest, longest + 1))
    return Text(f"{IPV4}/(?:{lengths})", len("255.255.255.255/32"), expected, remedy, further=check)


PodNetwork = Annotated[str, _network(8, 24, "10.42.0.0/16")]
ServiceNetwork = Annotated[str, _network(12, 28, "10.43.0.0/16")]


_QUERY = "[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*"


def url_text(pattern: str, expected: str, example: Words, instead: str) -> Text:
    """A type for texts that may be URLs, without login and without a secret in a parameter."""
    why = "because others can read the stack file, the state and the process list"
    return Text(
        pattern,
        URL_LIMIT,
        expected,
        example,
        (
            Refused(URL_LOGIN, f"a URL without a login, {why}", instead),
            Refused(URL_WITH_SECRET, f"a URL without a secret in a parameter, {why}", instead),
        ),
    )


_FILE_URL = f"file://(?:/{PATH_CHARACTERS}+)+"
_UPLOAD = "write the URL without it, or upload the release from this computer: k3s.airGap"
MirrorUrl = Annotated[
    str,
    url_text(
        f"https://{HOST_PORT}(?:/{PATH_CHARACTERS}+)*|{_FILE_URL}",
        "the base URL of the releases, https://… or file:///…, without a slash or a query at the end",
        "write for instance https://mirror.example.org/k3s",
        _UPLOAD,
    ),
]
ScriptUrl = Annotated[
    str,
    url_text(
        rf"https://{HOST_PORT}(?:/{PATH_CHARACTERS}+)*/?(?:\?{_QUERY})?|{_FILE_URL}",
        "the URL of k3s's install.sh, https://… or file:///…",
        "write for instance https://mirror.example.org/k3s/install.sh",
        _UPLOAD,
    ),
]
RegistryUrl = Annotated[
    str,
    url_text(
        f"https?://{HOST_PORT}(?:/{PATH_CHARACTERS}*)*",
        "the URL of a mirror, https://HOST, https://HOST:PORT or with a path",
        "write for instance https://mirror.example.org",
        "write the URL without it, and the login to the secret registryCredentials",
    ),
]
RepositoryUrl = Annotated[
    str,
    url_text(
        f"https://{HOST_PORT}(?:/{PATH_CHARACTERS}*)*",
        "the URL of a chart repository, https://…, without a query",
        "write for instance https://charts.example.org/nvidia",
        "download the chart (helm pull --untar), and write its folder: chart: ./gpu-operator",
    ),
]
RegistryName = Annotated[
    str,
    Text(
        rf"\*|{HOST_PORT}",
        HOST_LIMIT + len(":65535"),
        "a registry, HOST or HOST:PORT as in the names of its images, or * for all others",
        "write for instance docker.io",
    ),
]
NoProxy = Annotated[
    str,
    Text(
        rf"\*|(?:\*?\.)?{DOMAIN}(?::{PORT})?|{IPV4}(?:/(?:3[0-2]|[12]?[0-9])|:{PORT})?"
        f"|{_IPV6}(?:/[0-9]{{1,3}})?",
        HOST_LIMIT + len(":65535"),
        "a domain, an address or a network to reach without the proxy",
        "write for instance .example.org or 192.0.2.0/24",
    ),
]
_PROXY_USER = "[A-Za-z0-9._~-]+"
_PROXY_EXPECTED = "the URL of a proxy, http://HOST:PORT or http://USER@HOST:PORT"
ProxyUrl = Annotated[
    str,
    Text(
        f"https?://(?:{_PROXY_USER}@)?{HOST}:{PORT}",
        URL_LIMIT,
        _PROXY_EXPECTED,
        "write for instance http://proxy.example.org:3128",
        (
            Refused(
                f"(?![A-Za-z][A-Za-z0-9+.-]*://[^:@]*@)[^@]*:{ANYTHING}@{ANYTHING}",
                "the URL of a proxy without a password: others can read a stack file",
                "write http://USER@HOST:PORT, and set the password: pulumi config set --secret proxyPassword",
            ),
        ),
    ),
]


def proxy_user(proxy: str) -> str | None:
    """The login name in a proxy's URL; None without one."""
    login, at, _ = proxy.partition("://")[2].rpartition("@")
    return login if at else None
