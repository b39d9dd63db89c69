"""What is known about NVIDIA's products: their labels, their compute capability, and how MIG divides them."""

from k3sgpu.gpu_products.compute_capability import OLDEST_TARGET, compute_capability
from k3sgpu.gpu_products.labels import PRODUCT_SUFFIX, product_label, without_suffixes
from k3sgpu.gpu_products.mig_layouts import MigLayout, can_be_partitioned, mig_layouts
from k3sgpu.gpu_products.mps import MPS_CLIENTS, mps_clients

__all__ = [
    "MPS_CLIENTS",
    "OLDEST_TARGET",
    "PRODUCT_SUFFIX",
    "MigLayout",
    "can_be_partitioned",
    "compute_capability",
    "mig_layouts",
    "mps_clients",
    "product_label",
    "without_suffixes",
]
