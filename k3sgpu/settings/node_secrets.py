"""The texts that a machine gets on its standard input, because they hold secrets or may."""

import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import yaml

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.models.k3s_files import Registries, proxy_user
from k3sgpu.settings.models.stack import Settings

OURS = "# From the stack file, by k3s-gpu-sharing.\n"
"""How converge.sh recognises a file that it may write again, or take away."""

NODE_SECRETS = ("registryCredentials", "proxyPassword")
SERVER_SECRETS = ("s3AccessKey", "s3SecretKey")


def node_secret_texts(settings: Settings, secrets: Mapping[str, str]) -> dict[str, str]:
    """By name, what every node is given; `secrets` has those of NODE_SECRETS that are set."""
    texts = {
        "REGISTRIES": _registries(settings.k3s.registries, secrets.get("registryCredentials", "")),
        "ENVIRONMENT": _environment(settings, secrets.get("proxyPassword", "")),
    }
    return {name: OURS + text for name, text in texts.items() if text}


def server_secret_texts(secrets: Mapping[str, str]) -> dict[str, str]:
    """By name, what servers are given besides; `secrets` has those of SERVER_SECRETS that are set."""
    keys = {"s3AccessKey": "etcd-s3-access-key", "s3SecretKey": "etcd-s3-secret-key"}
    config = {keys[name]: value.strip() for name, value in secrets.items()}
    return {"SERVER_CONFIG": yaml.safe_dump(config)} if config else {}


def check_secrets(secrets: Mapping[str, str]) -> None:
    """Raises SettingsError for a secret that is not in its form, without showing it."""
    _credentials(secrets.get("registryCredentials", ""))


def _registries(registries: Registries | None, credentials: str) -> str:
    """k3s's registries.yaml; empty where nothing is said."""
    found = registries or Registries()
    configs: dict[str, Any] = {
        name: {"tls": {key: value for key, value in tls.model_dump().items() if value}}
        for name, tls in found.tls.items()
    }
    for name, login in _credentials(credentials).items():
        configs.setdefault(name, {})["auth"] = login
    mirrors = {
        name: {
            "endpoint": list(mirror.endpoints),
            **({"rewrite": mirror.rewrites} if mirror.rewrites else {}),
        }
        for name, mirror in found.mirrors.items()
    }
    said = {key: value for key, value in (("mirrors", mirrors), ("configs", configs)) if value}
    return yaml.safe_dump(said, sort_keys=True) if said else ""


def _credentials(text: str) -> dict[str, dict[str, str]]:
    """Logins by registry, from the secret's text."""
    try:
        read = json.loads(text) if text.strip() else {}
    except ValueError:
        read = None
    if isinstance(read, dict) and all(_is_login(login) for login in read.values()):
        return read
    raise SettingsError(
        [
            Problem(
                "registryCredentials",
                "a secret in another form (not shown)",
                "a JSON object, by registry as k3s.registries names it: a username and a password",
                'write {"registry.example.org": {"username": "…", "password": "…"}} to a file, then run:\n'
                "pulumi config set --secret registryCredentials < FILE",
            )
        ]
    )


def _is_login(login: object) -> bool:
    return (
        isinstance(login, dict)
        and login.keys() == {"username", "password"}
        and all(isinstance(value, str) and value for value in login.values())
    )


def _environment(settings: Settings, password: str) -> str:
    """What k3s's unit has in its environment; empty without a proxy."""
    proxy = settings.k3s.proxy
    if proxy is None:
        return ""
    urls = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https}
    lines = [f"{name}={_with(url, password)}\n" for name, url in urls.items() if url]
    return "".join(lines) + f"NO_PROXY={','.join(_direct(settings))}\n"


def _with(url: str, password: str) -> str:
    user = proxy_user(url)
    return url.replace(f"{user}@", f"{user}:{quote(password.strip(), safe='')}@", 1) if user else url


def _direct(settings: Settings) -> list[str]:
    """What no proxy is asked for. Of machines the networks around them: another host shall restart nobody."""
    nodes = [*settings.nodes, *settings.lost]
    around = {
        ipaddress.ip_network(f"{address}/24", strict=False)
        for node in nodes
        for address in (node.address, node.node_ip)
    }
    k3s = settings.k3s
    own = ["127.0.0.0/8", "localhost", k3s.cluster_cidr, k3s.service_cidr, ".svc"]
    own += [f".{k3s.config.get('cluster-domain', 'cluster.local')}", *map(str, sorted(around))]
    own += [k3s.registration_address] if k3s.registration_address else []
    return list(dict.fromkeys([*own, *(k3s.proxy.no_proxy if k3s.proxy else ())]))
