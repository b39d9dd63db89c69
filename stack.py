"""Between a stack file and the components: reads Pulumi's configuration, and says settings in the
components' words. Everything here returns plain values; nothing registers a resource."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import remote

from components import ssh_connection
from components.existing_cluster import ExistingClusterArgs
from components.gpu_operator import GpuOperatorArgs
from components.gpu_profiles import GpuProfilesArgs
from components.gpu_sharing import GpuSharingArgs
from components.gpu_verify import GpuVerifyArgs
from components.gpu_workload import GpuWorkloadArgs
from components.k3s_args import HostArgs, K3sClusterArgs
from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.handoff import expected_state, release_upload

Secrets = Mapping[str, pulumi.Output[str]]
POD_SECURITY = "pod-security.kubernetes.io/enforce"


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What is wrong with the stack file or with a file that it names, in Pulumi's form."""
    try:
        yield
    except s.SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def read(config: pulumi.Config) -> s.Settings:
    """The stack's settings. Raises pulumi.RunError with every mistake of the stack file."""
    prefix = f"{config.name}:"
    # Config has no way to list its keys, and a mistyped key must not be passed over in silence.
    everything = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    keys = {key.removeprefix(prefix) for key in everything if key.startswith(prefix)}
    secrets = {key for key in keys if pulumi.runtime.is_config_secret(prefix + key)}
    plain = {key: _value(config.require(key)) for key in sorted(keys - secrets)}
    with _refusals():
        settings = s.parse(plain, secrets)
        s.check_secrets({key: everything[prefix + key] for key in secrets})
    return settings


def ssh_access(settings: s.Settings, folder: Path) -> Mapping[str, s.SshAccess]:
    """By host: the key files' contents and the host keys. Paths are relative to `folder`.

    Raises pulumi.RunError with every host that could not be reached in a checked way.
    """
    with _refusals():
        return s.resolve_ssh(settings, folder)


def release_files(settings: s.Settings, folder: Path) -> s.ReleaseFiles:
    """What this computer brings to the machines, if anything. Paths are relative to `folder`.

    Raises pulumi.RunError with every file that is missing or is not the release's.
    """
    with _refusals():
        return s.resolve_release_files(settings, folder)


def secrets(config: pulumi.Config, settings: s.Settings) -> dict[str, pulumi.Output[str]]:
    """By name: the secret keys that are set."""
    return {name: config.require_secret(name) for name in sorted(settings.secrets)}


def existing_cluster(config: pulumi.Config, settings: s.Settings, folder: Path) -> ExistingClusterArgs:
    """Arguments of ExistingCluster. Raises pulumi.RunError for a kubeconfig that cannot be used."""
    # Read at once, not as an Output: what is wrong with it is said before anything is registered.
    secret = pulumi.runtime.get_config(f"{config.name}:clusterKubeconfig")
    with _refusals():
        kubeconfig = s.resolve_kubeconfig(settings, folder, secret)
    return {
        "kubeconfig": kubeconfig,
        "nodes": [node.name for node in settings.nodes],
        "expected": json.dumps(expected_state.existing_nodes_state(settings), sort_keys=True),
    }


def report_fit(fit: capacity.Fit) -> None:
    """Prints the slice map. Raises pulumi.RunError when the workloads cannot fit and that is enforced."""
    pulumi.log.info(capacity.render_slice_map(fit))
    errors = [problem for problem in fit.problems if problem.severity == "error"]
    if errors:
        raise pulumi.RunError(s.render(fit.problems))
    if fit.problems:
        pulumi.log.warn(s.render(fit.problems))


def cluster(
    settings: s.Settings,
    access: Mapping[str, s.SshAccess],
    secrets: Secrets,
    inventory: Mapping[str, Any],
    files: s.ReleaseFiles,
) -> K3sClusterArgs:
    """Arguments of K3sCluster."""
    hosts = {node.name: _host(node, settings, access[node.name], secrets) for node in settings.nodes}
    k3s = settings.k3s
    return {
        "servers": [hosts[node.name] for node in settings.servers],
        "registration_address": k3s.registration_address,
        "agents": [hosts[node.name] for node in settings.nodes if node.role == "agent"],
        "lost": [{"name": node.name, "role": node.role} for node in settings.lost if node.role],
        "release": {
            "version": k3s.version,
            "mirror": k3s.mirror,
            "install_script_url": k3s.install_script_url,
            "install_script_sha256": k3s.install_script_sha256,
            "binary_sha256": dict[str, str](k3s.binary_sha256.items()),
        },
        "disable": k3s.disable,
        "tls_san": k3s.tls_san,
        "config": k3s.node_config,
        "server_config": k3s.server_config,
        "node_secrets": _secret_texts(
            s.NODE_SECRETS, secrets, lambda values: s.node_secret_texts(settings, values)
        ),
        "server_secrets": _secret_texts(s.SERVER_SECRETS, secrets, s.server_secret_texts),
        "preflight": {
            "inventory": json.dumps(inventory, sort_keys=True),
            "secrets": pulumi.Output.json_dumps({name: secrets[name] for name in settings.login_secrets}),
        },
        "upload_plans": release_upload.build_upload_plans(settings, files, inventory),
        "start_timeout_seconds": k3s.start_timeout_seconds,
        "drain_on_patch": k3s.drain_on_patch,
        "drain_timeout_seconds": k3s.drain_timeout_seconds,
        "max_unavailable": k3s.max_unavailable,
        "protect": k3s.protect,
        "generation": k3s.generation,
    }


def profiles(
    settings: s.Settings, *, expected: Mapping[str, Any], kubeconfig: pulumi.Input[str]
) -> GpuProfilesArgs:
    """Arguments of GpuProfiles."""
    return {
        "configs": capacity.config_map_data(settings),
        "expected": json.dumps(expected, sort_keys=True),
        "kubeconfig": kubeconfig,
    }


def operator(settings: s.Settings, *, namespace: pulumi.Input[str]) -> GpuOperatorArgs:
    """Arguments of GpuOperator."""
    wanted = settings.gpu_operator
    return {
        "namespace": namespace,
        "version": wanted.version,
        "chart": wanted.chart,
        "repository": wanted.repository,
        "driver": wanted.driver == "operator",
        "toolkit": wanted.toolkit == "operator",
        "remove_crds": wanted.remove_crds,
        "values": wanted.values,
        "timeout_seconds": wanted.timeout_seconds,
    }


def sharing(
    settings: s.Settings,
    offers: Iterable[capacity.NodeOffer],
    *,
    joined: Mapping[str, pulumi.Resource],
    expected: Mapping[str, Any],
    drained: pulumi.Input[str],
    kubeconfig: pulumi.Input[str],
) -> GpuSharingArgs:
    """Arguments of GpuSharing."""
    gpu_nodes = [offer for offer in offers if offer.product]
    default = settings.sharing.default
    alive = settings.nodes[0].name
    return {
        "default": capacity.config_key(
            default, capacity.device_plugin_config(settings.sharing.profiles[default])
        ),
        "nodes": [
            {"name": offer.name, "labels": offer.program_labels, "joined": joined[offer.name]}
            for offer in gpu_nodes
        ],
        "lost": [node.name for node in settings.lost if node.gpu],
        "alive": {"name": alive, "labels": {}, "joined": joined[alive]},
        "expected": json.dumps(expected, sort_keys=True),
        "drained": drained,
        "kubeconfig": kubeconfig,
    }


def verify(
    settings: s.Settings,
    offers: Iterable[capacity.NodeOffer],
    *,
    namespace: pulumi.Input[str],
    kubeconfig: pulumi.Input[str],
) -> GpuVerifyArgs:
    """Arguments of GpuVerify."""
    asked = settings.verify
    return {
        "namespace": namespace,
        "nodes": [
            {"name": offer.name, "resource": offer.resource_offers[0].name}
            for offer in offers
            if offer.resource_offers and not offer.maintenance
        ],
        "image": asked.image,
        "strict": asked.strict,
        "timeout_seconds": asked.timeout_seconds,
        "generation": settings.k3s.generation,
        "kubeconfig": kubeconfig,
    }


def workloads(settings: s.Settings, *, kubeconfig: pulumi.Input[str]) -> dict[str, GpuWorkloadArgs]:
    """By name: arguments of every GpuWorkload."""
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
            "image": workload.image,
            "command": workload.command,
            "args": workload.args,
            "env": workload.env,
            "secret_env": {key: (one.name, one.key) for key, one in workload.secret_env.items()},
            "node_selector": workload.selector,
            "tolerations": [_toleration(one) for one in workload.tolerations],
            "security_context": _security_context(workload.security_context),
        }
        for name, workload in sorted(settings.workloads.items())
    }


def namespaces(settings: s.Settings) -> dict[str, dict[str, str]]:
    """By name: the labels of the namespaces that the workloads release_upload, for Pod Security."""
    found: dict[str, dict[str, str]] = {}
    for workload in settings.workloads.values():
        if workload.namespace != "default":
            known = found.setdefault(workload.namespace, {POD_SECURITY: "baseline"})
            if not workload.security_context.is_baseline:
                known[POD_SECURITY] = "privileged"
    return dict(sorted(found.items()))


def _toleration(said: s.Toleration) -> kubernetes.core.v1.TolerationArgsDict:
    told: kubernetes.core.v1.TolerationArgsDict = {"key": said.key, "operator": said.operator}
    if said.value:
        told["value"] = said.value
    if said.effect:
        told["effect"] = said.effect
    return told


def _security_context(said: s.SecurityContext) -> kubernetes.core.v1.SecurityContextArgsDict:
    """What is said of it, and no more: an empty list would differ from what the API server keeps."""
    plain: dict[str, Any] = said.model_dump(exclude_none=True, exclude={"capabilities"})
    lists = {"add": list(said.capabilities.add), "drop": list(said.capabilities.drop)}
    if given := {key: names for key, names in lists.items() if names}:
        plain["capabilities"] = given
    return cast(kubernetes.core.v1.SecurityContextArgsDict, plain)


def outputs(settings: s.Settings, offers: Iterable[capacity.NodeOffer]) -> dict[str, Any]:
    """What a stack tells of itself beside its kubeconfig: where it is, what it promises, how to look on."""
    stack = pulumi.get_stack()
    file, kubeconfig = (
        f"Pulumi.{stack}.yaml",
        f"pulumi stack output kubeconfig --show-secrets --stack {stack}",
    )
    roles = {node.name: {"role": node.role} if node.role else {} for node in settings.nodes}
    operator, there = settings.gpu_operator, settings.kubeconfig is not None
    return {
        **({} if there else {"endpoint": f"https://{settings.registration_address}:6443"}),
        "nodes": {
            offer.name: {
                **roles[offer.name],
                **({"product": offer.product, "cards": offer.cards} if offer.product else {}),
                "profile": offer.profile,
                "promised": offer.resources,
            }
            for offer in offers
        },
        "versions": {
            **({} if there else {"k3s": settings.k3s.version}),
            **({"gpuOperator": operator.version} if operator.enabled else {}),
        },
        "look": {
            "pods": f"(umask 077; {kubeconfig} > kubeconfig); kubectl --kubeconfig kubeconfig get pods -A",
            "slices": f"{kubeconfig} | sh k3sgpu/run.sh doctor cluster --file {file} --kubeconfig -",
            **({} if there else {"machines": f"sh k3sgpu/run.sh doctor hosts --file {file}"}),
            "fit": f"sh k3sgpu/run.sh fit --file {file}",
        },
    }


def _secret_texts(
    names: Iterable[str], secrets: Secrets, texts: Callable[[Mapping[str, str]], dict[str, str]]
) -> dict[str, str] | pulumi.Output[dict[str, str]]:
    """What `texts` makes of those of `secrets` that are set."""
    given = {name: secrets[name] for name in names if name in secrets}
    return pulumi.Output.all(**given).apply(texts) if given else texts({})


def _host(node: s.Node, settings: s.Settings, access: s.SshAccess, secrets: Secrets) -> HostArgs:
    bastion = (
        access.bastion
        and settings.bastion
        and _connection(settings.bastion, settings, access.bastion, secrets)
    )
    return {
        "name": node.name,
        "address": node.address,
        "node_ip": node.node_ip,
        "external_ip": node.external_ip,
        "sudo": node.user != "root",
        "sudo_password": secrets.get("sudoPassword"),
        "labels": node.labels,
        "taints": node.taints,
        "kubelet_args": [f"{name}={value}" for name, value in sorted(node.kubelet_args.items())],
        "connection": _connection(node, settings, access, secrets, bastion),
    }


def _connection(
    end: s.Endpoint,
    settings: s.Settings,
    access: s.SshAccess,
    secrets: Secrets,
    bastion: remote.ConnectionArgsDict | None = None,
) -> remote.ConnectionArgsDict:
    private_key = access.private_key or secrets.get("sshPrivateKey")
    return ssh_connection.connection(
        address=end.address,
        user=end.user,
        port=end.port,
        host_key=access.host_key,
        private_key=private_key,
        passphrase=_passphrase(private_key, secrets),
        bastion=bastion,
    )


def _passphrase(
    private_key: str | pulumi.Output[str] | None, secrets: Secrets
) -> pulumi.Output[str] | pulumi.Output[str | None] | None:
    """For a key that has one: the plugin refuses a key without, when it is given a passphrase for it."""
    passphrase = secrets.get(s.PASSPHRASE)
    if private_key is None or passphrase is None:
        return None
    if isinstance(private_key, str):
        return passphrase if s.is_encrypted(private_key) else None
    both = pulumi.Output.all(private_key, passphrase)
    return both.apply(lambda pair: str(pair[1]) if s.is_encrypted(pair[0]) else None)


def _value(text: str) -> object:
    """A value of the configuration: the engine hands objects over as JSON, and plain strings as they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text
