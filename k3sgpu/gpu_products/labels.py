"""The value of the node label nvidia.com/gpu.product, as NVIDIA's feature discovery makes it.

Source: sanitise and getProductName in internal/lm/resource.go, and GetName in internal/resource/
nvml-mig-device.go, of NVIDIA/k8s-device-plugin v0.20.0.
"""

import re

PRODUCT_SUFFIX = r"(-MIG-([0-9]+g[.][0-9].*|INVALID)|-SHARED)"
"""What feature discovery adds to a partition's product and to a shared one. A pattern for JSON Schema too."""
_NOT_IN_LABELS = re.compile("[^A-Za-z0-9-_. ]")
_SUFFIXES = re.compile(rf"{PRODUCT_SUFFIX}+\Z")


def product_label(name: str) -> str:
    """The label of the product that nvidia-smi calls `name`: TITAN-X-Pascal for "TITAN X (Pascal)"."""
    return "-".join(_NOT_IN_LABELS.sub("", name).split())


def without_suffixes(label: str) -> str:
    """The label of the whole card that is not shared: without -SHARED, and without the partition."""
    return _SUFFIXES.sub("", label)
