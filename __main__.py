"""The stack as a table of contents: settings → fit → cluster → operator → sharing → workloads → outputs."""

import gc
from pathlib import Path

gc.disable()  # as sdk_workarounds says; first, because imports are most of a small stack's time

import pulumi
from pulumi import ResourceOptions

from components import error_hints
from components.existing_cluster import ExistingCluster
from components.gpu_operator import GpuOperator
from components.gpu_profiles import GpuProfiles
from components.gpu_sharing import GpuSharing
from components.gpu_teams import GpuTeams
from components.gpu_verify import GpuVerify
from components.gpu_workload import GpuWorkload, workload_namespaces
from components.guard import Guard
from components.k3s_cluster import K3sCluster
from components.resource_options import after
from components.sdk_workarounds import flush_registrations
from k3sgpu import capacity
from k3sgpu.handoff.expected_state import build_expected_state
from stack import arguments, inputs
from stack.outputs import export, outputs
from stack.team_evictions import report_evictions

# The stack file and the files that it names. A mistake ends the program here, before anything is registered.
config, folder = pulumi.Config(), Path.cwd()
settings = inputs.read_settings(config, folder)
access, files = inputs.ssh_access(settings, folder), inputs.release_files(settings, folder)
offers = capacity.offers(settings)
inputs.report_fit(capacity.fit(settings, offers))

if settings.kubeconfig:  # an existing cluster: a destroy deletes from it what the stack has created
    kubeconfig = inputs.existing_kubeconfig(config, settings, folder)
    cluster = ExistingCluster("cluster", arguments.existing_cluster(settings, kubeconfig))
    inside = ResourceOptions(provider=cluster.provider)
else:  # hosts become a k3s cluster, and everything in it is deleted with it
    hooks = error_hints.hooks()
    cluster_args = arguments.cluster(settings, access, inputs.read_secrets(config, settings), files)
    cluster = K3sCluster("cluster", cluster_args, ResourceOptions(hooks=hooks))
    inside = ResourceOptions(provider=cluster.provider, deleted_with=cluster.provider, hooks=hooks)

parts: list[pulumi.Resource] = [*cluster.last]
if settings.gpu_operator.enabled:
    expected = build_expected_state(settings, offers)
    profiles = GpuProfiles("gpu-profiles", arguments.profiles(settings, expected, cluster.kubeconfig), inside)
    operator_args = arguments.operator(settings, profiles.namespace)
    operator = GpuOperator("gpu-operator", operator_args, after(inside, profiles.config_map))
    sharing_args = arguments.sharing(settings, offers, expected, cluster, profiles, operator)
    sharing = GpuSharing("gpu-sharing", sharing_args, after(inside, operator.release))
    ready: pulumi.Resource = sharing.ready  # every node offers its slices
    if settings.verify.enabled:  # before the workloads, while slices are free
        verify_args = arguments.verify(settings, offers, operator.installed, cluster.kubeconfig)
        verify = GpuVerify("gpu-verify", verify_args, after(inside, ready))
        ready = verify.ran
        parts.append(verify)
        export({"verified": verify.verdicts})

    namespaces = workload_namespaces(arguments.namespaces(settings), inside)
    parts += [profiles, operator, *sharing.last, *namespaces]
    if settings.teams:
        teams_args = arguments.teams(settings, offers, cluster.kubeconfig)
        teams = GpuTeams("teams", teams_args, after(inside, ready))
        report_evictions(cluster.kubeconfig, teams_args["shares"])
        ready = teams.evictions  # no team has more than it may
        parts += teams.last
        export({"members": teams.members, "memberKubeconfigs": teams.kubeconfigs})
    for name, workload_args in arguments.workloads(settings, offers, cluster.kubeconfig).items():
        parts.append(GpuWorkload(name, workload_args, after(inside, ready, *namespaces)))
    export({"seen": sharing.ready.stdout})

Guard("guard", parts, protect=settings.protect)
export({"kubeconfig": cluster.kubeconfig, **outputs(settings, offers)})

pulumi.run(flush_registrations)
