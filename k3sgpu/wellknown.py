"""Names that others fixed, or that this program fixed for good: each once, with its source."""

OPERATOR_NAMESPACE = "gpu-operator"
"""The namespace of NVIDIA's GPU Operator."""
CONFIG_MAP = "time-slicing-config"
"""The ConfigMap of the device plugin's configurations."""
CONFIG_LABEL = "nvidia.com/device-plugin.config"
"""The node label that chooses a configuration. The only label that this program sets for it."""
