"""A cluster that was built as the article does it: what its API returns."""

import base64
import copy
import gzip
import json
from typing import Any

import yaml

from k3sgpu.adoption.cluster_objects import ClusterObjects
from k3sgpu.adoption.helm_releases import newest_releases

KEY = "2080ti-12gb"
RELEASE = "gpu-operator-1665737174"
SIX = """\
version: v1
sharing:
  timeSlicing:
    resources:
    - name: nvidia.com/gpu
      replicas: 6
"""
VALUES = {"driver": {"enabled": False}, "toolkit": {"enabled": False}}
SPEC = {"driver": {"enabled": False}, "toolkit": {"enabled": False, "version": "v1.20.0"}}
PATCHED = {"f:devicePlugin": {"f:config": {".": {}, "f:name": {}, "f:default": {}}}}


def record(name: str = RELEASE, revision: int = 1, **changes: Any) -> dict[str, Any]:
    """The Secret in which Helm keeps a release; changes of its parts."""
    policy = {"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "spec": SPEC}
    release = {
        "name": name,
        "namespace": changes.get("namespace", "gpu-operator"),
        "version": revision,
        "info": {"status": changes.get("status", "deployed")},
        "chart": {"metadata": {"name": "gpu-operator", "version": changes.get("version", "v26.7.0")}},
        "config": changes.get("values", VALUES),
        "manifest": "---\n" + yaml.safe_dump(policy),
    }
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v{revision}",
            "namespace": release["namespace"],
            "labels": {"owner": "helm", "name": name, "version": str(revision)},
        },
        "data": {"release": base64.b64encode(packed).decode()},
    }


def node(name: str = "gpu-1", slices: int = 6, **labels: str) -> dict[str, Any]:
    """A node with a card; `labels` by their last part."""
    found = {"present": "true", "product": "NVIDIA-GeForce-RTX-2080-Ti-SHARED", "count": "1",
             "memory": "11264"} | labels  # fmt: skip
    keys = {"config": "nvidia.com/device-plugin.config"}
    return {
        "metadata": {
            "name": name,
            "labels": {keys.get(key, f"nvidia.com/gpu.{key}"): value for key, value in found.items()},
        },
        "status": {"allocatable": {"nvidia.com/gpu": str(slices)}},
    }


def objects(
    *records: dict[str, Any],
    data: dict[str, str] | None = None,
    default: str = KEY,
    nodes: tuple[dict[str, Any], ...] = (),
    spec: dict[str, Any] | None = None,
    by_hand: dict[str, Any] | None = None,
) -> ClusterObjects:
    """The article's cluster, with these parts in place of its own."""
    config = {"name": "time-slicing-config"} | ({"default": default} if default else {})
    policy = {
        "metadata": {
            "name": "cluster-policy",
            "managedFields": [
                {"manager": "helm", "fieldsV1": {"f:spec": {"f:driver": {"f:enabled": {}}}}},
                {"manager": "kubectl-patch", "fieldsV1": {"f:spec": by_hand or PATCHED}},
            ],
        },
        "spec": copy.deepcopy(SPEC) | {"devicePlugin": {"config": config}} | (spec or {}),
    }
    return ClusterObjects(
        nodes=nodes or (node(),),
        policies=(policy,),
        releases=tuple(newest_releases(records or (record(),))),
        config_map={"data": {KEY: SIX} if data is None else data},
    )
