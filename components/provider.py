"""The Provider for everything inside a cluster, from its kubeconfig."""

import pulumi
import pulumi_kubernetes as kubernetes

from components.kubeconfig import expiry_warning


def cluster_id(name: str) -> str:
    """A cluster's name beyond its stack: among the entries of a kubeconfig, and for the Provider."""
    return f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"


def provider(
    name: str, kubeconfig: pulumi.Output[str], remedy: str, opts: pulumi.ResourceOptions
) -> kubernetes.Provider:
    """A Provider as child of a component; a certificate that soon ends is warned of, with this remedy."""

    def warn_in_time(text: str) -> None:
        if warning := expiry_warning(text, remedy):
            pulumi.log.warn(warning, resource=opts.parent)

    kubeconfig.apply(warn_in_time)
    return kubernetes.Provider(
        name,
        kubeconfig=kubeconfig,
        # Stable, so that another certificate or address does not replace everything in the cluster.
        cluster_identifier=cluster_id(name),
        enable_server_side_apply=True,
        # The sharing ConfigMap keeps its name: a replacement would leave a moment without it.
        enable_config_map_mutable=True,
        opts=opts,
    )
