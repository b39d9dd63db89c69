"""The Kubernetes Provider for everything inside a cluster."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from components.kubeconfig import expiry_warning


def cluster_id(name: str) -> str:
    """A cluster's name that is unique beyond its stack: for a kubeconfig's entries, and for the Provider."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"


def provider(
    name: str, kubeconfig: pulumi.Output[str], remedy: str, opts: pulumi.ResourceOptions
) -> kubernetes.Provider:
    """A Provider from a kubeconfig. Warns of a certificate that ends soon, and prints `remedy` with it."""

    def warn_before_expiry(text: str) -> None:
        if warning := expiry_warning(text, remedy):
            pulumi.log.warn(warning, resource=opts.parent)

    kubeconfig.apply(warn_before_expiry)
    return kubernetes.Provider(
        name,
        kubeconfig=kubeconfig,
        # Stable: with the default, another certificate or address would replace everything in the cluster.
        cluster_identifier=cluster_id(name),
        enable_server_side_apply=True,
        # The ConfigMap keeps its name and is updated: between a delete and a create it would be missing.
        enable_config_map_mutable=True,
        opts=opts,
    )
