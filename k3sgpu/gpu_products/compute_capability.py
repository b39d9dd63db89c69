"""The compute capability of NVIDIA's products.

Sources: NVIDIA's pages "CUDA GPU Compute Capability" (developer.nvidia.com/cuda-gpus) and "Legacy CUDA GPU
Compute Capability" (developer.nvidia.com/cuda-legacy-gpus). Variants of a listed product, such as A800 and
V100S, have the capability of its chip.
"""

import re

Capability = tuple[int, int]

OLDEST_TARGET: dict[int, Capability] = {11: (3, 5), 12: (5, 0), 13: (7, 5)}
"""By CUDA generation: the oldest cards for which it builds programs.

Source: "Deprecated Architectures" in the CUDA Toolkit Release Notes. 12.0 removed Kepler; 13.0 removed
Maxwell, Pascal and Volta.
"""

# The first pattern that matches a label up to a "-" or its end decides. NVIDIA- and Tesla- may precede it.
_TABLE: tuple[tuple[str, Capability], ...] = (
    (r"GB10", (12, 1)),
    (r"RTX-PRO-\d+(-.+)?-Blackwell|GeForce-RTX-50\d0", (12, 0)),
    (r"GB300|B300", (10, 3)),
    (r"GB200|B200", (10, 0)),
    (r"GH200|H200|H100|H800|H20", (9, 0)),
    (r"L2|L4|L20|L40[GS]?|RTX-\d+(-SFF)?-Ada|GeForce-RTX-40\d0", (8, 9)),
    (r"A2|A10[GM]?|A16|A40|RTX-A\d+|GeForce-RTX-(30\d0|2050)", (8, 6)),
    (r"A100X?|A800|A30X?", (8, 0)),
    (r"T4G?|(Quadro-)?T\d{3,4}|Quadro-RTX-\d+|TITAN-RTX|GeForce-RTX-20\d0|GeForce-GTX-16\d0", (7, 5)),
    (r"V100S?|Quadro-GV100|TITAN-V", (7, 0)),
    (r"P100|Quadro-GP100", (6, 0)),
    (r"P4|P6|P40|Quadro-P\d+|P\d{3}|TITAN-X[p]?|GeForce-GTX?-10\d0", (6, 1)),
    (r"M4|M6|M40|M60|Quadro-M(6000|5000|4000|2000|5500M|2200|620)|GeForce-GTX-TITAN-X", (5, 2)),
    (r"GeForce-GTX-(9[5678]0|98?0M|970M|965M)", (5, 2)),
    (r"M10|Quadro-(K2200|K1200|K620)M?|Quadro-M\d+M?|NVS-810|GeForce-GTX-(75\d|9[56]0M)", (5, 0)),
    (r"K80", (3, 7)),
    (r"K20[cmsX]?m?|K40[cmst]?|Quadro-K(6000|5200)|GeForce-GTX-(TITAN|780)", (3, 5)),
)
_PRODUCTS = tuple(
    (re.compile(rf"(NVIDIA-)?(Tesla-)?({pattern})(?![^-])"), capability) for pattern, capability in _TABLE
)


def compute_capability(label: str) -> Capability | None:
    """The compute capability of a product by its label: (7, 0) for Tesla-V100-SXM2-32GB; None if unknown."""
    return next((capability for product, capability in _PRODUCTS if product.match(label)), None)
