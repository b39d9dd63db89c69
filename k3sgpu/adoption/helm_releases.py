"""Helm's records of releases: Secrets of the type helm.sh/release.v1.

Source: encodeRelease and decodeRelease in pkg/storage/driver/util.go of github.com/helm/helm.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

OWNER_LABELS = {"owner": "helm"}
"""The labels of Helm's records."""
LARGEST = 32 * 1024 * 1024
"""Bytes of an unpacked record. A Secret holds at most 1 MiB, and a chart compresses to a fifth or less."""
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class HelmRelease:
    """The newest revision of a release."""

    name: str
    namespace: str
    revision: int
    status: str
    """Helm's word: deployed, failed, pending-install, …"""
    chart: str
    version: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """The values that the user gave, without the chart's own."""
    manifest: str = ""
    """What Helm applied: YAML documents."""


def newest_releases(secrets: Iterable[Mapping[str, Any]]) -> list[HelmRelease]:
    """Returns the newest revision of every release that can be read, by namespace and name."""
    newest: dict[tuple[str, str], tuple[int, Mapping[str, Any]]] = {}
    for secret in secrets:
        labels = secret["metadata"].get("labels") or {}
        place = (secret["metadata"].get("namespace", ""), labels.get("name", ""))
        revision = int(labels["version"]) if str(labels.get("version", "")).isdecimal() else 0
        if place not in newest or revision > newest[place][0]:
            newest[place] = revision, secret
    found = [_decode(secret) for _, (_, secret) in sorted(newest.items())]
    return [release for release in found if release]


def _decode(secret: Mapping[str, Any]) -> HelmRelease | None:
    """The release of a record; None for a text that no Helm has written."""
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        record = json.loads(zlib.decompressobj(_GZIP).decompress(packed, LARGEST))
        chart = record["chart"]["metadata"]
        return HelmRelease(
            name=record["name"],
            namespace=record["namespace"],
            revision=int(record["version"]),
            status=record["info"]["status"],
            chart=chart["name"],
            version=chart["version"],
            values=record.get("config") or {},
            manifest=record.get("manifest") or "",
        )
    except (ValueError, KeyError, TypeError, zlib.error):
        return None
