"""What a card is by its PCI device ID, for machines whose driver is not installed yet.

Sources: the table "Compatible GPUs" in README.md of NVIDIA/open-gpu-kernel-modules (IDs and names; Volta:
pci.ids), and nvidia-smi on such cards (memory, which differs by some MiB between drivers). IDs that stand for
several products are left out.
"""

_DEVICES = {
    "0x1db1": ("Tesla-V100-SXM2-16GB", 16384),
    "0x1db4": ("Tesla-V100-PCIE-16GB", 16384),
    "0x1db5": ("Tesla-V100-SXM2-32GB", 32768),
    "0x1db6": ("Tesla-V100-PCIE-32GB", 32768),
    "0x1e04": ("NVIDIA-GeForce-RTX-2080-Ti", 11264),
    "0x1e07": ("NVIDIA-GeForce-RTX-2080-Ti", 11264),
    "0x1eb8": ("Tesla-T4", 15360),
    "0x20b2": ("NVIDIA-A100-SXM4-80GB", 81920),
    "0x20b5": ("NVIDIA-A100-80GB-PCIe", 81920),
    "0x20b7": ("NVIDIA-A30", 24576),
    "0x20f1": ("NVIDIA-A100-PCIE-40GB", 40960),
    "0x2203": ("NVIDIA-GeForce-RTX-3090-Ti", 24564),
    "0x2204": ("NVIDIA-GeForce-RTX-3090", 24576),
    "0x2206": ("NVIDIA-GeForce-RTX-3080", 10240),
    "0x2208": ("NVIDIA-GeForce-RTX-3080-Ti", 12288),
    "0x2230": ("NVIDIA-RTX-A6000", 49140),
    "0x2231": ("NVIDIA-RTX-A5000", 24564),
    "0x2232": ("NVIDIA-RTX-A4500", 20470),
    "0x2235": ("NVIDIA-A40", 46068),
    "0x2236": ("NVIDIA-A10", 23028),
    "0x2237": ("NVIDIA-A10G", 23028),
    "0x2330": ("NVIDIA-H100-80GB-HBM3", 81559),
    "0x2331": ("NVIDIA-H100-PCIe", 81559),
    "0x2335": ("NVIDIA-H200", 143771),
    "0x233b": ("NVIDIA-H200-NVL", 143771),
    "0x2482": ("NVIDIA-GeForce-RTX-3070-Ti", 8192),
    "0x2484": ("NVIDIA-GeForce-RTX-3070", 8192),
    "0x2488": ("NVIDIA-GeForce-RTX-3070", 8192),
    "0x24b0": ("NVIDIA-RTX-A4000", 16376),
    "0x2503": ("NVIDIA-GeForce-RTX-3060", 12288),
    "0x2504": ("NVIDIA-GeForce-RTX-3060", 12288),
    "0x2684": ("NVIDIA-GeForce-RTX-4090", 24564),
    "0x26b1": ("NVIDIA-RTX-6000-Ada-Generation", 49140),
    "0x26b2": ("NVIDIA-RTX-5000-Ada-Generation", 32760),
    "0x26b5": ("NVIDIA-L40", 46068),
    "0x26b9": ("NVIDIA-L40S", 46068),
    "0x2702": ("NVIDIA-GeForce-RTX-4080-SUPER", 16376),
    "0x2704": ("NVIDIA-GeForce-RTX-4080", 16376),
    "0x2782": ("NVIDIA-GeForce-RTX-4070-Ti", 12282),
    "0x2786": ("NVIDIA-GeForce-RTX-4070", 12282),
    "0x27b8": ("NVIDIA-L4", 23034),
    "0x2b85": ("NVIDIA-GeForce-RTX-5090", 32607),
    "0x2c02": ("NVIDIA-GeForce-RTX-5080", 16303),
}
PCI_DEVICES = tuple(_DEVICES)
"""The IDs that the table has."""


def product_of_device(device: str) -> tuple[str, int] | None:
    """The label of the product with this PCI device ID (0x1e07) and its memory in MiB; None if not known."""
    return _DEVICES.get(device.lower())
