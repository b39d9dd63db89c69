"""How many clients NVIDIA's MPS serves."""

from k3sgpu.gpu_products.compute_capability import compute_capability

MPS_CLIENTS = 48
"""Clients of one MPS server, from compute capability 7.5 on.

Source: maxClients in cmd/mps-control-daemon/mps/device.go of NVIDIA/k8s-device-plugin v0.20.0. It asks
isAtLeastVolta, which compares with 7.5, so a V100 (7.0) counts as older.
"""
_OLDER_MPS_CLIENTS = 16


def mps_clients(label: str) -> int:
    """The most clients of a card with this product label; an unknown product counts as a new one."""
    capability = compute_capability(label)
    return _OLDER_MPS_CLIENTS if capability and capability < (7, 5) else MPS_CLIENTS
