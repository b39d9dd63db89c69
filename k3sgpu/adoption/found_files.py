"""registries.yaml and the proxy of a k3s as values of a stack file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from k3sgpu.foreign_text import escape

_TLS = {
    "ca_file": "caFile",
    "cert_file": "certFile",
    "key_file": "keyFile",
    "insecure_skip_verify": "insecureSkipVerify",
}


@dataclass
class FileValues:
    """What a file says."""

    k3s: dict[str, Any] = field(default_factory=dict)
    """Keys of the section k3s."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    reasons: list[str] = field(default_factory=list)
    """What a stack file cannot say."""


def registry_values(text: str) -> FileValues:
    """k3s.registries and the secret registryCredentials, from the text of registries.yaml."""
    values = FileValues()
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        document = None
    if not isinstance(document, dict) or not all(
        isinstance(part, dict) and all(isinstance(one, dict) for one in part.values())
        for part in document.values()
    ):
        values.reasons.append("registries.yaml is not k3s's: mirrors and configs by registry")
        return values
    known = {"mirrors": {"endpoint", "rewrite"}, "configs": {"auth", "tls"}}
    for section, entries in document.items():
        for registry, entry in entries.items():
            for key in entry.keys() - known.get(section, set()):
                values.reasons.append(f"registries.yaml: {escape(f'{section}.{registry}.{key}', 100)}")
    mirrors = {
        name: {
            "endpoints": list(entry.get("endpoint") or ()),
            **({"rewrites": entry["rewrite"]} if entry.get("rewrite") else {}),
        }
        for name, entry in document.get("mirrors", {}).items()
    }
    configs = document.get("configs", {})
    tls = {
        name: {_TLS[key]: value for key, value in entry["tls"].items() if key in _TLS}
        for name, entry in configs.items()
        if isinstance(entry.get("tls"), dict)
    }
    registries = {key: value for key, value in (("mirrors", mirrors), ("tls", tls)) if value}
    if registries:
        values.k3s["registries"] = registries
    if logins := {name: entry["auth"] for name, entry in configs.items() if entry.get("auth")}:
        values.secrets["registryCredentials"] = json.dumps(logins)
    return values


def proxy_values(variables: Mapping[str, str]) -> FileValues:
    """k3s.proxy and the secret proxyPassword, from variables by name in upper case."""
    values, proxy, passwords = FileValues(), dict[str, Any](), set[str]()
    for name, key in (("HTTP_PROXY", "http"), ("HTTPS_PROXY", "https")):
        if not variables.get(name):
            continue
        url = urlsplit(variables[name])
        if url.password:
            passwords.add(unquote(url.password))
        login = f"{url.username}@" if url.username else ""
        proxy[key] = f"{url.scheme}://{login}{url.netloc.rpartition('@')[2]}"
    if len(passwords) > 1:
        values.reasons.append("two proxies with different passwords")
    elif passwords:
        values.secrets["proxyPassword"] = passwords.pop()
    if proxy:
        values.k3s["proxy"] = proxy
        if names := [name for name in variables.get("NO_PROXY", "").split(",") if name]:
            proxy["noProxy"] = names
    return values
