"""The releases of NVIDIA's GPU Operator. YY.M is the major version (NVIDIA's page "Platform Support")."""

MAJOR_RELEASES = (
    (22, 9), (23, 3), (23, 6), (23, 9), (24, 3), (24, 6), (24, 9), (25, 3), (25, 10), (26, 3), (26, 7),
)  # fmt: skip

DEFAULT_DRIVERS = {(26, 7): 595}
"""By release: the branch of the driver that it installs (driver.version in its values.yaml)."""
DRIVER_BEFORE_TURING = "580.173.02"
"""The newest driver for cards before Turing that GPU Operator 26.7 supports (NVIDIA's life cycle policy)."""


def major_release(version: str | None) -> tuple[int, int] | None:
    """(26, 7) of v26.7.0; None for a text that is no version of three numbers."""
    parts = (version or "").removeprefix("v").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) == 3 and all(map(_is_number, parts[:2])) else None


def mps_needs_the_default(version: str | None) -> bool:
    """Whether an MPS daemon of this release takes the ClusterPolicy's default configuration only.

    GPU Operator 26.3 brought device plugin v0.19. Its config manager takes the default first, and then fails
    to tell the MPS daemon of another configuration (NVIDIA/k8s-device-plugin, issue 1726 and pull request
    1827).
    """
    release = major_release(version)
    return release is None or release >= (26, 3)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
