"""The stack as a table of contents: settings → fit → cluster → operator → sharing → workloads → exports."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

import stack
from components import error_hints
from components.existing_cluster import ExistingCluster
from components.gpu_operator import GpuOperator
from components.gpu_profiles import GpuProfiles
from components.gpu_sharing import GpuSharing
from components.gpu_verify import GpuVerify
from components.gpu_workload import GpuWorkload
from components.guard import Guard
from components.k3s_cluster import K3sCluster
from components.sdk_workarounds import flush_registrations
from k3sgpu import capacity
from k3sgpu.handoff import expected_state, inventory

# What the stack file says; a mistake ends the program here, with all the others of the file.
config = pulumi.Config()
settings = stack.read(config)
access = stack.ssh_access(settings, Path.cwd())
files = stack.release_files(settings, Path.cwd())
secrets = stack.secrets(config, settings)

# Whether the workloads fit, said before anything is touched.
offers = capacity.offers(settings)
stack.report_fit(capacity.fit(settings, offers))

if settings.kubeconfig:  # a cluster is there already: what is put into it is taken out again
    cluster = ExistingCluster("cluster", stack.existing_cluster(config, settings, Path.cwd()))
    inside = ResourceOptions(provider=cluster.provider)
else:  # machines that answer SSH become a k3s cluster, and what lies in it goes with it
    inventory = inventory.build_inventory(settings, access, pulumi.get_project(), pulumi.get_stack())
    hooks = error_hints.hooks()
    described = stack.cluster(settings, access, secrets, inventory, files)
    cluster = K3sCluster("cluster", described, ResourceOptions(hooks=hooks))
    inside = ResourceOptions(provider=cluster.provider, deleted_with=cluster.provider, hooks=hooks)

parts: list[pulumi.Resource] = [cluster]
if settings.gpu_operator.enabled:  # else: the bare cluster
    # What its device plugin reads, in its namespace.
    expected = expected_state.build_expected_state(settings, offers)
    profiles = GpuProfiles(
        "gpu-profiles", stack.profiles(settings, expected=expected, kubeconfig=cluster.kubeconfig), inside
    )
    parts.append(profiles)
    before = ResourceOptions.merge(inside, ResourceOptions(depends_on=[profiles.config_map]))
    operator = GpuOperator("gpu-operator", stack.operator(settings, namespace=profiles.namespace), before)

    # Who shares which card how; exists when every promised slice is allocatable.
    sharing = GpuSharing(
        "gpu-sharing",
        stack.sharing(
            settings,
            offers,
            joined=cluster.joined,
            expected=expected,
            drained=profiles.drained.stdout,
            kubeconfig=cluster.kubeconfig,
        ),
        ResourceOptions.merge(inside, ResourceOptions(depends_on=[operator.release])),
    )

    proven: pulumi.Resource = sharing.ready
    parts += [operator, sharing]
    if settings.verify.enabled:  # while the slices are still free
        verified = stack.verify(settings, offers, namespace=profiles.namespace, kubeconfig=cluster.kubeconfig)
        opts = ResourceOptions.merge(inside, ResourceOptions(depends_on=[proven]))
        verify = GpuVerify("gpu-verify", verified, opts)
        parts.append(verify)
        proven = verify.ran
        pulumi.export("verified", verify.verdicts)

    # Namespaces of their own, then the workloads.
    namespaces = {
        name: kubernetes.core.v1.Namespace(name, metadata={"name": name, "labels": labels}, opts=inside)
        for name, labels in stack.namespaces(settings).items()
    }
    parts += namespaces.values()
    for name, workload in stack.workloads(settings, kubeconfig=cluster.kubeconfig).items():
        after = [proven, *namespaces.values()]
        opts = ResourceOptions.merge(inside, ResourceOptions(depends_on=after))
        parts.append(GpuWorkload(name, workload, opts))
    pulumi.export("seen", sharing.ready.stdout)

Guard("guard", parts, protect=settings.k3s.protect)

pulumi.export("kubeconfig", cluster.kubeconfig)
for name, value in stack.outputs(settings, offers).items():
    pulumi.export(name, value)

pulumi.run(flush_registrations)
