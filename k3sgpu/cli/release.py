"""Take a cluster out of the program, with everything in it running. Nothing in the cluster is changed.

On every host of Pulumi.STACK.yaml the mark of this program and its files become notes, in
/etc/k3s-gpu-sharing/released: how k3s is managed from now on. What is in the cluster is described in
Pulumi.STACK.released.md. Then the command prints how to remove the stack's state without deleting anything.

A stack with secrets:
  pulumi config --show-secrets --json --stack STACK | python -m k3sgpu release STACK --yes

Exit status 1: a host was not released. Run the command again; what is done stays done.
"""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli.host_logins import host_logins, read_login_secrets
from k3sgpu.cli.output import print_progress, print_text
from k3sgpu.cli.questions import ask
from k3sgpu.problem import InputError
from k3sgpu.wellknown import PROJECT

if TYPE_CHECKING:
    from k3sgpu.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="the stack: its file is Pulumi.STACK.yaml")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace) -> int:
    """Releases a stack. Returns the exit status: 1 if a host was not released."""
    from k3sgpu.settings import read_stack_file

    options.file = f"Pulumi.{options.stack}.yaml"
    settings = read_stack_file(options.file)
    hosts = [node.name for node in settings.machines]
    where = f"{len(hosts)} hosts" if hosts else "an existing cluster"
    question = f"Stack {options.stack} ({where}): nothing will manage what runs there. Go on? [y/N]"
    if not options.yes and ask(question, "--yes") not in ("y", "yes"):
        print_progress("release: nothing was changed")
        return 1
    if hosts and not _release_hosts(settings, options.stack):
        print_progress("Run the command again when this is corrected; hosts that were released stay so.")
        return 1
    notes = Path(f"Pulumi.{options.stack}.released.md")
    try:
        notes.write_text(cluster_notes(settings, options.stack))
    except OSError as error:
        raise InputError(f"{notes} cannot be written: {error.strerror}") from None
    print_text(_next_steps(options.stack, notes))
    return 0


def _release_hosts(settings: "Settings", stack: str) -> bool:
    """Whether every host of the stack file is released now."""
    from k3sgpu.handoff.inventory import build_inventory, ssh_targets
    from k3sgpu.handoff.staging import stage_targets
    from k3sgpu.hosts.staging import release_hosts
    from k3sgpu.settings import resolve_ssh

    inventory = build_inventory(settings, resolve_ssh(settings, Path.cwd()), PROJECT, stack)
    secrets = read_login_secrets(inventory)
    logins = host_logins(ssh_targets(inventory), secrets, agent=inventory["agent"])
    targets = stage_targets(inventory["hosts"])
    version = settings.k3s.version
    outcome = asyncio.run(release_hosts(inventory["owner"], version, targets, logins, inventory["bastion"]))
    for line in [*outcome.summary(), *outcome.failures]:
        print_progress(line)
    return not outcome.failures


def cluster_notes(settings: "Settings", stack: str) -> str:
    """How each part of a released cluster is managed, as Markdown."""
    from k3sgpu.capacity import config_map_data, config_map_name
    from k3sgpu.wellknown import CLUSTER_POLICY, CONFIG_LABEL, OPERATOR_NAMESPACE

    parts = [f"# The cluster of stack {stack}, which no stack manages any more\n"]
    if settings.machines:
        servers = ", ".join(node.name for node in settings.servers)
        parts.append(
            f"**k3s** {settings.k3s.version} on {len(settings.machines)} machines (servers: {servers}): "
            "/etc/k3s-gpu-sharing/released/README on each says how to configure, upgrade and uninstall it. "
            "The kubeconfig is /etc/rancher/k3s/k3s.yaml on a server.\n"
        )
    operator = settings.gpu_operator
    if operator.enabled:
        namespace, keys = OPERATOR_NAMESPACE, ", ".join(sorted(config_map_data(settings)))
        parts.append(
            f"**GPU Operator** {operator.version}: Helm release {operator.release}. Values and upgrade:\n\n"
            f"    helm get values {operator.release} --namespace {namespace} --output yaml > values.yaml\n"
            f"    helm upgrade {operator.release} gpu-operator --repo https://helm.ngc.nvidia.com/nvidia \\\n"
            f"      --namespace {namespace} --version VERSION --values values.yaml\n"
        )
        parts.append(
            f"**Sharing**: the ConfigMap {config_map_name(settings)} has the configurations ({keys}); the "
            f"label {CONFIG_LABEL} of a node names its own; the ClusterPolicy {CLUSTER_POLICY} names the "
            "ConfigMap and the default (spec.devicePlugin.config). Give a changed configuration another key, "
            "and the nodes its label: a changed text under the same key has no effect.\n"
        )
    if settings.workloads:
        listed = "\n".join(
            f"- {workload.kind} {name} in namespace {workload.namespace}"
            for name, workload in sorted(settings.workloads.items())
        )
        parts.append(f"**Workloads**, managed with kubectl from now on:\n\n{listed}\n")
    return "\n".join(parts)


def _next_steps(stack: str, notes: Path) -> str:
    return f"""\
released: {notes} says how the cluster is managed now
next, to forget the stack's state; this deletes nothing in the cluster:
  pulumi stack output kubeconfig --show-secrets --stack {stack} > kubeconfig   # if you have no other
  pulumi stack rm {stack} --force --preserve-config
Do not run `pulumi destroy` or `pulumi up` with this stack any more."""
