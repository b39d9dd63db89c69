"""Kubernetes objects as plain values, spelled as in Kubernetes' JSON."""

from typing import Any

Manifest = dict[str, Any]


def manifest(
    api_version: str,
    kind: str,
    name: str,
    namespace: str | None = None,
    labels: dict[str, str] | None = None,
    **fields: Any,
) -> Manifest:
    """An object with its name, and with the fields beside its metadata."""
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
