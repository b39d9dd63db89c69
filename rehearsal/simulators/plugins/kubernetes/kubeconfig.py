"""The provider's kubeconfig, as far as it is modelled: contents, not a path."""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass
from typing import Any

import yaml

from rehearsal.simulators.plugins.kubernetes import NAME
from rehearsal.simulators.plugins.server import Failure, NotModelled


@dataclass(frozen=True, repr=False)
class Cluster:
    """The API server's address and credentials."""

    server: str
    authority: str | None
    certificate: bytes | None
    key: bytes | None
    token: str | None
    namespace: str

    def tls(self) -> ssl.SSLContext:
        """Checks the server by `authority` (the system's without it) and presents the client certificate."""
        context = ssl.create_default_context(cadata=self.authority)
        if self.certificate and self.key:
            # Python reads certificates from files only; this one lives in memory and has no name.
            descriptor = os.memfd_create("client-certificate")
            try:
                os.write(descriptor, self.certificate + b"\n" + self.key)
                context.load_cert_chain(f"/proc/self/fd/{descriptor}")
            finally:
                os.close(descriptor)
        return context


def parse(text: str) -> dict[str, Any]:
    """Parses a kubeconfig. Raises Failure, without the content, when it is none."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Failure(
            "the provider's kubeconfig is not YAML: expected the contents of a kubeconfig"
        ) from None
    if not isinstance(document, dict) or "clusters" not in document:
        raise NotModelled(NAME, "a kubeconfig that is a path", "give the file's contents")
    return document


def active(document: dict[str, Any], context: str | None = None) -> dict[str, Any] | None:
    """The entry of the cluster in use, or None."""
    chosen = _named(document, "contexts", context or document.get("current-context"))
    return _named(document, "clusters", chosen.get("cluster")) if chosen else None


def load(text: str, context: str | None = None, namespace: str | None = None) -> Cluster:
    """The cluster in use. Raises Failure when the document does not say where it is."""
    document = parse(text)
    chosen = _named(document, "contexts", context or document.get("current-context")) or {}
    cluster = _named(document, "clusters", chosen.get("cluster"))
    if cluster is None:
        raise Failure("the provider's kubeconfig has no current context with a cluster: set current-context")
    user = _named(document, "users", chosen.get("user")) or {}
    if cluster.get("insecure-skip-tls-verify"):
        raise NotModelled(NAME, "insecure-skip-tls-verify", "put the cluster's CA into the kubeconfig")
    strange = user.keys() - {"client-certificate-data", "client-key-data", "token"}
    if strange:
        raise NotModelled(NAME, f"users with {', '.join(sorted(strange))}", "embed a certificate or a token")
    return Cluster(
        server=cluster["server"].rstrip("/"),
        authority=_text(cluster.get("certificate-authority-data")),
        certificate=_bytes(user.get("client-certificate-data")),
        key=_bytes(user.get("client-key-data")),
        token=user.get("token"),
        namespace=namespace or chosen.get("namespace") or "default",
    )


def _named(document: dict[str, Any], section: str, name: str | None) -> dict[str, Any] | None:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            return entry.get(section.removesuffix("s")) or {}
    return None


def _bytes(encoded: str | None) -> bytes | None:
    return base64.b64decode(encoded) if encoded else None


def _text(encoded: str | None) -> str | None:
    return base64.b64decode(encoded).decode() if encoded else None
