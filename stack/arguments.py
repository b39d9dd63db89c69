"""The arguments of the components, from the settings. Plain values; nothing here registers a resource."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import pulumi
import pulumi_kubernetes as kubernetes

from components.existing_cluster import ExistingCluster, ExistingClusterArgs
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.gpu_profiles import GpuProfiles, GpuProfilesArgs
from components.gpu_sharing import GpuSharingArgs
from components.gpu_teams import GpuTeamsArgs
from components.gpu_verify import GpuVerifyArgs
from components.gpu_workload import GpuWorkloadArgs
from components.k3s_args import K3sClusterArgs
from components.k3s_cluster import K3sCluster
from k3sgpu import capacity, timeouts
from k3sgpu import settings as s
from k3sgpu.digest import digest
from k3sgpu.handoff import expected_state, inventory, k3s_config, staging
from k3sgpu.handoff.teams import eviction_plan
from k3sgpu.hosts import scripts
from k3sgpu.teams.names import MEMBERS_NAMESPACE
from k3sgpu.teams.objects import team_objects
from k3sgpu.teams.workload_class import workload_class
from k3sgpu.wellknown import OPERATOR_NAMESPACE
from stack.host_arguments import host
from stack.inputs import Secrets

POD_SECURITY = "pod-security.kubernetes.io/enforce"


def existing_cluster(settings: s.Settings, kubeconfig: str) -> ExistingClusterArgs:
    """Arguments of ExistingCluster."""
    return {
        "kubeconfig": kubeconfig,
        "nodes": [node.name for node in settings.nodes],
        "expected": expected_state.existing_nodes_state(settings),
    }


def cluster(
    settings: s.Settings, access: Mapping[str, s.SshAccess], secrets: Secrets, files: s.ReleaseFiles
) -> K3sClusterArgs:
    """Arguments of K3sCluster."""
    hosts = {node.name: host(node, settings, access[node.name], secrets) for node in settings.nodes}
    machines = inventory.build_inventory(settings, access, pulumi.get_project(), pulumi.get_stack())
    node_secrets = _secret_texts(
        s.NODE_SECRETS, secrets, lambda values: s.node_secret_texts(settings, values)
    )
    logins = {name: secrets[name] for name in settings.login_secrets}
    plan = staging.build_stage_plan(settings, files, machines, scripts.staged_hashes())
    k3s, initial = settings.k3s, settings.servers[0]
    return {
        "servers": [hosts[node.name] for node in settings.servers],
        "reader": host(initial, settings, access[initial.name], secrets, shorten_key=False),
        **k3s_config.cluster_config(settings),
        "agents": [hosts[node.name] for node in settings.nodes if node.role == "agent"],
        "lost": [{"name": node.name, "role": node.role} for node in settings.lost if node.role],
        "version": k3s.version,
        "external_database": settings.external_database,
        "node_secrets": node_secrets,
        "server_secrets": _secret_texts(s.SERVER_SECRETS, secrets, s.server_secret_texts),
        "preflight": {
            "inventory": inventory.inventory_json(machines),
            "secrets": pulumi.Output.json_dumps(logins),
        },
        "stage": {
            "plan": staging.stage_plan_json(plan),
            "secrets": pulumi.Output.all(logins, node_secrets).apply(_stage_secrets),
        },
        "start_timeout_seconds": k3s.start_timeout_seconds,
        "drain_on_patch": k3s.drain_on_patch,
        "drain_timeout_seconds": k3s.drain_timeout_seconds,
        "max_unavailable": k3s.max_unavailable,
        "protect": k3s.protect,
        "generation": k3s.generation,
    }


def profiles(
    settings: s.Settings, expected: expected_state.ExpectedState, kubeconfig: pulumi.Input[str]
) -> GpuProfilesArgs:
    """Arguments of GpuProfiles."""
    return {
        "configs": capacity.config_map_data(settings),
        "config_map": capacity.config_map_name(settings),
        "adopt_namespace": settings.gpu_operator.adopted,
        "adopt_config_map": settings.sharing.adopted is not None,
        "expected": expected,
        "kubeconfig": kubeconfig,
    }


def operator(settings: s.Settings, namespace: pulumi.Input[str]) -> GpuOperatorArgs:
    """Arguments of GpuOperator."""
    operator = settings.gpu_operator
    return {
        "namespace": namespace,
        "release": operator.release,
        "adopted": operator.adopted,
        "version": operator.version,
        "chart": operator.chart,
        "repository": operator.repository,
        "driver": operator.driver == "operator",
        "toolkit": operator.toolkit == "operator",
        "remove_crds": operator.remove_crds,
        "values": operator.values,
        "tolerations": s.tolerations_for_gpu_pools(settings),
        "timeout_seconds": operator.timeout_seconds,
    }


def sharing(
    settings: s.Settings,
    offers: Iterable[capacity.NodeOffer],
    expected: expected_state.ExpectedState,
    cluster: K3sCluster | ExistingCluster,
    profiles: GpuProfiles,
    operator: GpuOperator,
) -> GpuSharingArgs:
    """Arguments of GpuSharing."""
    joined = cluster.joined
    gpu_nodes = [offer for offer in offers if offer.product]
    alive = settings.nodes[0].name
    return {
        "config_map_name": capacity.config_map_name(settings),
        "default": capacity.default_config_key(settings),
        "nodes": [
            {"name": offer.name, "labels": offer.program_labels, "joined": joined[offer.name]}
            for offer in gpu_nodes
        ],
        "lost": [node.name for node in settings.lost if node.gpu],
        "alive": {"name": alive, "labels": {}, "joined": joined[alive]},
        "expected": expected,
        "operator": operator.installed,
        "config_map": profiles.config_map,
        "k3s": digest([_k3s_of(node, settings) for node in settings.nodes]),
        "drained": profiles.drained.stdout,
        "kubeconfig": cluster.kubeconfig,
    }


def verify(
    settings: s.Settings,
    offers: Iterable[capacity.NodeOffer],
    operator: pulumi.Input[str],
    kubeconfig: pulumi.Input[str],
) -> GpuVerifyArgs:
    """Arguments of GpuVerify."""
    verify = settings.verify
    nodes = {node.name: node for node in settings.nodes}
    return {
        "namespace": OPERATOR_NAMESPACE,
        "operator": operator,
        "nodes": [
            {
                "name": offer.name,
                "resource": offer.resource_offers[0].name,
                "offer": digest(
                    [dict(offer.resources), dict(offer.labels), _k3s_of(nodes[offer.name], settings)]
                ),
            }
            for offer in offers
            if offer.resource_offers and not offer.maintenance
        ],
        "image": verify.image,
        "strict": verify.strict,
        "timeout_seconds": verify.timeout_seconds,
        "generation": settings.k3s.generation,
        "kubeconfig": kubeconfig,
    }


def teams(
    settings: s.Settings, offers: Sequence[capacity.NodeOffer], kubeconfig: pulumi.Input[str]
) -> GpuTeamsArgs:
    """Arguments of GpuTeams."""
    shares = capacity.team_shares(settings, offers)
    objects = team_objects(settings, offers, shares)
    return {
        "shared": objects.shared,
        "members_namespace": MEMBERS_NAMESPACE,
        "teams": {
            name: {
                "objects": objects.teams[name],
                "members": {member: objects.members[member] for member in sorted(team.members)},
            }
            for name, team in sorted(settings.teams.items())
        },
        "shares": eviction_plan(settings.teams, shares),
        "renewal": int(time.time() // timeouts.TOKEN_RENEWAL_SECONDS),
        "kubeconfig": kubeconfig,
    }


def workloads(
    settings: s.Settings, offers: Sequence[capacity.NodeOffer], kubeconfig: pulumi.Input[str]
) -> dict[str, GpuWorkloadArgs]:
    """By name: arguments of every GpuWorkload."""
    shares = capacity.team_shares(settings, offers)
    return {
        name: {
            "namespace": workload.namespace,
            "replicas": workload.replicas,
            "job": {
                "completions": workload.completions,
                "parallelism": workload.parallelism,
                "retries": workload.retries,
                "timeout_seconds": workload.timeout_seconds,
                "kubeconfig": kubeconfig,
            }
            if workload.kind == "Job"
            else None,
            "gpus": workload.gpus,
            "resource": workload.resource,
            "priority_class": workload_class(workload, shares),
            "image": workload.image,
            "command": workload.command,
            "args": workload.args,
            "env": workload.env,
            "secret_env": {key: (ref.name, ref.key) for key, ref in workload.secret_env.items()},
            "node_selector": workload.selector,
            "tolerations": [_toleration(toleration) for toleration in workload.tolerations],
            "security_context": _security_context(workload.security_context),
            "restricted": bool(workload.team and settings.teams[workload.team].pod_security == "restricted"),
        }
        for name, workload in sorted(settings.workloads.items())
    }


def namespaces(settings: s.Settings) -> dict[str, dict[str, str]]:
    """By name: the labels of the namespaces that the workloads need, for Pod Security."""
    labels: dict[str, dict[str, str]] = {}
    for workload in settings.workloads.values():
        if workload.namespace != "default" and not workload.team:
            own = labels.setdefault(workload.namespace, {POD_SECURITY: "baseline"})
            if not workload.security_context.is_baseline:
                own[POD_SECURITY] = "privileged"
    return dict(sorted(labels.items()))


def _k3s_of(node: s.Node, settings: s.Settings) -> list[object]:
    """What of k3s on a node can change what it offers: its release and its configuration."""
    k3s = settings.k3s
    return [node.name, k3s.version, k3s.generation, k3s.node_config, dict(node.kubelet_args)]


def _toleration(toleration: s.Toleration) -> kubernetes.core.v1.TolerationArgsDict:
    args: kubernetes.core.v1.TolerationArgsDict = {"key": toleration.key, "operator": toleration.operator}
    if toleration.value:
        args["value"] = toleration.value
    if toleration.effect:
        args["effect"] = toleration.effect
    return args


def _security_context(context: s.SecurityContext) -> kubernetes.core.v1.SecurityContextArgsDict:
    """Only the fields that are set: the API server drops an empty list, which would then differ."""
    args: dict[str, Any] = context.model_dump(exclude_none=True, exclude={"capabilities"})
    lists = {"add": list(context.capabilities.add), "drop": list(context.capabilities.drop)}
    if capabilities := {key: names for key, names in lists.items() if names}:
        args["capabilities"] = capabilities
    return cast(kubernetes.core.v1.SecurityContextArgsDict, args)


def _stage_secrets(parts: Sequence[Mapping[str, str]]) -> str:
    """The stdin of `stage`: what logins need, and the environment of k3s, which has the proxy's password."""
    logins, texts = parts
    return json.dumps({**logins, "environment": texts.get("ENVIRONMENT", "")})


def _secret_texts(
    names: Iterable[str], secrets: Secrets, texts: Callable[[Mapping[str, str]], dict[str, str]]
) -> dict[str, str] | pulumi.Output[dict[str, str]]:
    """The texts that `texts` makes of those of `secrets` that are set."""
    known = {name: secrets[name] for name in names if name in secrets}
    return pulumi.Output.all(**known).apply(texts) if known else texts({})
