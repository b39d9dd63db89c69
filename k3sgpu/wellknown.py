"""Names that Kubernetes, k3s, NVIDIA or this program fixed for good: each once, with its source.

A name that two packages must spell alike is defined here. Changing one of this program's own names
changes existing clusters.
"""

PROJECT = "k3s-gpu-sharing"
"""The project's name in Pulumi.yaml; keys of stack files and owner markers of machines have it too."""

GPU_RESOURCE = "nvidia.com/gpu"
"""The extended resource of a whole card; also the key of the taint on GPU nodes (NVIDIA's device plugin)."""
RUNTIME_CLASS = "nvidia"
"""The RuntimeClass that k3s and the GPU Operator create for containers that use a GPU."""

OPERATOR_NAMESPACE = "gpu-operator"
"""The namespace of NVIDIA's GPU Operator (its documentation installs it there)."""
MEMBERS_NAMESPACE = "gpu-team-members"
"""The namespace of the members' ServiceAccounts. The name is this program's.

Members have no rights here: a pod could use another's account.
"""
OPERATOR_RELEASE = "gpu-operator"
"""The name of the GPU Operator's Helm release. The name is this program's."""
CLUSTER_POLICY = "cluster-policy"
"""The ClusterPolicy of the GPU Operator's chart, which has no other name."""
CONFIG_MAP = "time-slicing-config"
"""The ConfigMap of the device plugin's configurations. The name is this program's."""
CONFIG_LABEL = "nvidia.com/device-plugin.config"
"""The node label that selects a configuration (NVIDIA's config-manager). This program sets it."""

HOSTNAME_LABEL = "kubernetes.io/hostname"
"""The node label that the kubelet sets to the node's name."""
ACCELERATOR_LABEL = "accelerator"
"""The node label that this program sets to the card's product."""
POOL_LABEL = "k3s-gpu-sharing/pool"
"""The node label that this program sets to the pool's name, where a workload or a team names the pool."""
PRODUCT_LABEL = f"{GPU_RESOURCE}.product"
"""The node label that GPU Feature Discovery sets to the card's product."""
MPS_CAPABLE_LABEL = "nvidia.com/mps.capable"
"""The node label by which GPU Feature Discovery says whether cards are shared by MPS."""
MIG_STRATEGY_LABEL = "nvidia.com/mig.strategy"
"""The node label that GPU Feature Discovery sets to the MIG strategy in use."""

API_PORT = 6443
"""The TCP port of the Kubernetes API and k3s's supervisor (docs.k3s.io/installation/requirements)."""
