"""A rehearsed stack: its machines, its engine, and a summary of its cluster."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.cluster.client import parse_kubeconfig
from k3sgpu.cluster.readiness import wait_until_ready
from k3sgpu.handoff.expected_state import build_expected_state
from k3sgpu.report import Report
from rehearsal.lab import cluster_summary, engine, machine_records, machines, providers
from rehearsal.lab.cards import RealCard, RealCards
from rehearsal.lab.engine import EventListener
from rehearsal.lab.gpus import Gpus, complete_driver_version
from rehearsal.lab.machine_records import Machine, RunningMachine
from rehearsal.process import RehearsalError
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox

STATE = engine.ROOT / ".rehearsal"
COMPARE_SECONDS = 30  # a node may have been restarted a moment ago


@dataclass(frozen=True)
class RehearsedStack:
    """A stack with a name and a stack file. Everything that it creates lies below `state`."""

    name: str
    stack_file: Path
    state: Path = STATE
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The stack's secret keys in plain text; its stack file has none."""
    owner: str | None = None
    """The process that removes the machines (processes.identify); None: the user does."""
    kubelets: str = "kwok"
    """The kubelets of new machines: "kwok", or "real" with containers."""
    cards: Sequence[RealCard] = ()
    """Cards of this computer for the hosts with GPUs, in their order; none: simulated ones."""

    @property
    def folder(self) -> Path:
        """The folder of this stack alone."""
        return self.state / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, written by `up`."""
        return self.folder / "kubeconfig"

    def settings(self) -> s.Settings:
        """Reads the stack file. Raises SettingsError."""
        return s.read_stack_file(self.stack_file, self.secrets)

    def engine(self, tools: toolbox.Tools) -> engine.Engine:
        """Pulumi's engine for this stack."""
        return engine.Engine(
            stack=self.name,
            stack_file=self.stack_file,
            folder=self.folder / "engine",
            pulumi=tools.pulumi,
            path=(tools.helm.parent,),
            secrets=self.secrets,
        )

    def install_plugins(self, tools: toolbox.Tools, progress: Progress) -> Mapping[str, str]:
        """Installs the engine's provider plugins. Returns the origin of each by name."""
        return providers.install_plugins(self.engine(tools).home, tools.pulumi, progress)

    def start_machines(self, tools: toolbox.Tools, progress: Progress) -> Mapping[str, RunningMachine]:
        """Boots the stack file's machines. Returns them by host. Raises RehearsalError, SettingsError."""
        settings = self.settings()
        cards = share_cards(self.cards, settings)
        wanted = [machine(node, settings, self.kubelets, cards.get(node.name)) for node in settings.machines]
        if not wanted:  # the stack uses an existing cluster
            return {}
        return machines.up(self.name, wanted, self.state, tools, progress, owner=self.owner)

    def up(
        self,
        tools: toolbox.Tools,
        show: Callable[[str], Any] = print,
        targets: Sequence[str] = (),
        on_event: EventListener | None = None,
    ) -> Mapping[str, int]:
        """Runs `pulumi up` and writes the kubeconfigs. Returns the number of resources by operation.

        Raises EngineFailed.
        """
        run = self.engine(tools)
        changes = run.up(show, targets, on_event)
        outputs = run.outputs()
        write_private(self.kubeconfig, outputs["kubeconfig"])
        for member, text in outputs.get("memberKubeconfigs", {}).items():
            write_private(self.folder / "members" / member, text)
        return changes

    def link_kubectl_and_kubeconfig(self, tools: toolbox.Tools) -> None:
        """Links kubectl and this stack's kubeconfig into the state folder, for users."""
        for link, target in (
            (self.state / "kubeconfig", self.kubeconfig),
            (self.state / "kubectl", tools.kubectl),
        ):
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def destroy(
        self, tools: toolbox.Tools, progress: Progress, show: Callable[[str], Any] = print
    ) -> str | None:
        """Destroys the stack if it has a state. Returns None, or why that failed.

        Boots machines that are off, because teardown commands run on them. Raises RehearsalError,
        SettingsError.
        """
        run = self.engine(tools)
        if not run.exists():
            return None
        known = machine_records.recorded(self.name)
        if not known or not all(machine.running for machine in known):
            self.start_machines(tools, progress)
        self.install_plugins(tools, progress)
        try:
            run.destroy(show)
        except engine.EngineFailed as error:
            return str(error)
        return None

    def remove(self, progress: Progress) -> None:
        """Removes the machines and all files of this stack. Raises RehearsalError."""
        machines.down(self.name, self.state, progress)
        for link in (self.state / "kubeconfig", self.state / "kubectl"):
            if link.is_symlink() and self.folder in link.readlink().parents:
                link.unlink()
        if self.folder.exists():
            toolbox.cache.remove_tree(self.folder)

    def compare_cluster(self) -> Report | None:
        """Compares the cluster with what the stack file promises; None without an operator.

        An `up` that changes nothing does not look at the cluster.
        """
        settings = self.settings()
        if not settings.gpu_operator.enabled:
            return None
        expected = build_expected_state(settings, capacity.offers(settings))
        config = parse_kubeconfig(self.kubeconfig.read_text(), str(self.kubeconfig))
        return wait_until_ready({**expected, "timeoutSeconds": COMPARE_SECONDS}, config, lambda _: None)

    def describe_cluster(self, tools: toolbox.Tools) -> str:
        """The cluster as text: nodes, slices, workloads and the slice map."""
        settings = self.settings()
        found = cluster_summary.read(tools.kubectl, self.kubeconfig)
        fit = capacity.fit(settings, capacity.offers(settings))
        seen = capacity.render_slice_map(fit, cluster_summary.placements(found["pods"]))
        return cluster_summary.render(found, list(settings.workloads)) + "\n\n" + seen


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read, in a folder of the same kind."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


def share_cards(cards: Sequence[RealCard], settings: s.Settings) -> dict[str, RealCards]:
    """Cards of this computer by host, as many as each declares. Raises RehearsalError without enough."""
    hosts = [node for node in settings.machines if node.gpu]
    wanted = sum(node.gpu.count for node in hosts if node.gpu)
    if cards and wanted > len(cards):
        raise RehearsalError(
            f"this computer: found {len(cards)} NVIDIA cards, expected {wanted}, as the stack file declares"
        )
    rest = iter(cards)
    toolkit = settings.gpu_operator.toolkit == "host"
    return {
        node.name: RealCards(tuple(itertools.islice(rest, node.gpu.count)), toolkit)
        for node in hosts
        if node.gpu and cards
    }


def machine(
    node: s.Node, settings: s.Settings, kubelet: str = "kwok", cards: RealCards | None = None
) -> Machine:
    """The machine for a host: with real `cards`, or with the cards, driver and toolkit that the stack file
    declares.
    """
    if node.gpu is None or cards:
        return Machine(node.name, node.address, kubelet=kubelet, cards=cards)
    operator = settings.gpu_operator
    simulated = Gpus(
        product=node.gpu.product,
        count=node.gpu.count,
        memory_mib=node.gpu.memory_mib,
        driver=complete_driver_version(node.gpu.driver) if operator.driver == "host" else None,
        toolkit=operator.toolkit == "host",
        mig=node.gpu.mig,
    )
    return Machine(node.name, node.address, simulated, kubelet)
