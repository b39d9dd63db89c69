"""The last branch of NVIDIA's driver that supports a product.

Source: NVIDIA, "Unix graphics feature deprecation schedule": the release 470 series is the last for Kepler,
the release 580 series the last for Maxwell, Pascal and Volta.
"""

from k3sgpu.gpu_products.compute_capability import Capability, compute_capability

_LAST_BRANCHES: tuple[tuple[Capability, int], ...] = (((5, 0), 470), ((7, 5), 580))
"""The last branch for cards below a compute capability."""


def last_driver_branch(label: str) -> int | None:
    """The last branch for a product by its label; None if there is none yet, or the product is unknown."""
    capability = compute_capability(label)
    return next((branch for newer, branch in _LAST_BRANCHES if capability and capability < newer), None)
