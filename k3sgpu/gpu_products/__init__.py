"""What is known about NVIDIA's products: labels, compute capability, drivers, and how MIG divides them."""

from k3sgpu.gpu_products.compute_capability import OLDEST_TARGET, compute_capability
from k3sgpu.gpu_products.driver_branches import last_driver_branch
from k3sgpu.gpu_products.labels import PRODUCT_SUFFIX, product_label, without_suffixes
from k3sgpu.gpu_products.memory import named_memory_gb
from k3sgpu.gpu_products.mig_layouts import MigLayout, can_be_partitioned, mig_layouts
from k3sgpu.gpu_products.mps import MPS_CLIENTS, mps_clients
from k3sgpu.gpu_products.pci_devices import PCI_DEVICES, product_of_device

__all__ = [
    "MPS_CLIENTS",
    "OLDEST_TARGET",
    "PCI_DEVICES",
    "PRODUCT_SUFFIX",
    "MigLayout",
    "can_be_partitioned",
    "compute_capability",
    "last_driver_branch",
    "mig_layouts",
    "mps_clients",
    "named_memory_gb",
    "product_label",
    "product_of_device",
    "without_suffixes",
]
