"""One rehearsed stack: its machines, its engine, and what they say in the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.lab import cluster_summary, engine, machine_records, machines, providers
from rehearsal.lab.engine import EventListener
from rehearsal.lab.gpus import Gpus, complete_driver_version
from rehearsal.lab.machine_records import Machine, RunningMachine
from rehearsal.progress import Progress
from rehearsal.toolchain import toolbox

STATE = engine.ROOT / ".rehearsal"


@dataclass(frozen=True)
class RehearsedStack:
    """A stack of the given name and file; everything it makes lies in `state`."""

    name: str
    stack_file: Path
    state: Path = STATE
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secret keys of the stack, in plain text; the stack file has none."""

    @property
    def folder(self) -> Path:
        """What belongs to this stack alone."""
        return self.state / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, after an `up`."""
        return self.folder / "kubeconfig"

    def settings(self) -> s.Settings:
        """What the stack file says. Raises settings.SettingsError."""
        return s.read_stack_file(self.stack_file, self.secrets)

    def engine(self, tools: toolbox.Tools) -> engine.Engine:
        """Pulumi on this stack."""
        return engine.Engine(
            stack=self.name,
            stack_file=self.stack_file,
            folder=self.folder / "engine",
            pulumi=tools.pulumi,
            path=(tools.helm.parent,),
            secrets=self.secrets,
        )

    def install_plugins(self, tools: toolbox.Tools, progress: Progress) -> Mapping[str, str]:
        """Gives the engine its provider plugins: by name, where each came from."""
        return providers.install_plugins(self.engine(tools).home, tools.pulumi, progress)

    def start_machines(self, tools: toolbox.Tools, progress: Progress) -> Mapping[str, RunningMachine]:
        """The machines of the stack file, by host. Raises RehearsalError, settings.SettingsError."""
        settings = self.settings()
        wanted = [machine(node, settings) for node in settings.machines]
        if not wanted:  # the cluster is there already
            return {}
        return machines.up(self.name, wanted, self.state, tools, progress)

    def up(
        self,
        tools: toolbox.Tools,
        show: Callable[[str], Any] = print,
        targets: Sequence[str] = (),
        on_event: EventListener | None = None,
    ) -> Mapping[str, int]:
        """Runs the program: counts by operation. Leaves the kubeconfig. Raises EngineFailed."""
        run = self.engine(tools)
        changes = run.up(show, targets, on_event)
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(run.outputs()["kubeconfig"])
        return changes

    def link_kubectl_and_kubeconfig(self, tools: toolbox.Tools) -> None:
        """Puts kubectl and this stack's kubeconfig where people find them."""
        for link, target in (
            (self.state / "kubeconfig", self.kubeconfig),
            (self.state / "kubectl", tools.kubectl),
        ):
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def destroy(
        self, tools: toolbox.Tools, progress: Progress, show: Callable[[str], Any] = print
    ) -> str | None:
        """Destroys the stack, if it ever was up: None, or why that failed. Its machines are booted again
        where they are off, for the wards run on them. Raises RehearsalError, settings.SettingsError."""
        run = self.engine(tools)
        if not run.exists():
            return None
        known = machine_records.status(self.name)
        if not known or not all(machine.running for machine in known):
            self.start_machines(tools, progress)
        self.install_plugins(tools, progress)
        try:
            run.destroy(show)
        except engine.EngineFailed as error:
            return str(error)
        return None

    def remove(self, progress: Progress) -> None:
        """Takes the machines and everything else of this stack away. Raises RehearsalError."""
        machines.down(self.name, self.state, progress)
        for link in (self.state / "kubeconfig", self.state / "kubectl"):
            if link.is_symlink() and self.folder in link.readlink().parents:
                link.unlink()
        if self.folder.exists():
            toolbox.cache.remove_tree(self.folder)

    def describe_cluster(self, tools: toolbox.Tools) -> str:
        """What the cluster shows now: nodes, slices, workloads, and the picture of who sits where."""
        settings = self.settings()
        found = cluster_summary.read(tools.kubectl, self.kubeconfig)
        fit = capacity.fit(settings, capacity.offers(settings))
        seen = capacity.render_slice_map(fit, cluster_summary.placements(found["pods"]))
        return cluster_summary.summary(found, list(settings.workloads)) + "\n\n" + seen


def machine(node: s.Node, settings: s.Settings) -> Machine:
    """The machine that plays `node`: with the cards, driver and toolkit that the stack file expects."""
    if node.gpu is None:
        return Machine(node.name, node.address)
    brought = settings.gpu_operator
    cards = Gpus(
        product=node.gpu.product,
        count=node.gpu.count,
        memory_mib=node.gpu.memory_mib,
        driver=complete_driver_version(node.gpu.driver) if brought.driver == "host" else None,
        toolkit=brought.toolkit == "host",
        mig=node.gpu.mig,
    )
    return Machine(node.name, node.address, cards)
