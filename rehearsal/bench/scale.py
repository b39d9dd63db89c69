"""Part (e): a preview without changes by number of agents, against as many independent Commands; the size of
the state, and the engine's memory."""

import socket
from collections.abc import Callable
from typing import Any

from rehearsal.bench import single_run
from rehearsal.bench.bench_stack import BenchStack, bench_stack, k3s_only_config
from rehearsal.bench.measure import Goal, Part, Series, Table, linear, measure_in_turns, within
from rehearsal.bench.report_page import amount
from rehearsal.lab import identity
from rehearsal.simulators.plugins import launcher

SIZES = (10, 100, 300, 1000)
OURS, INDEPENDENT = "this program", "independent Commands"
POD_NETWORK = "10.64.0.0/12"  # room for 4,096 nodes
ABOUT = """\
A preview of k3s with this many agents and nothing changed, compared with a preview of as many independent
local
Commands as that stack has. The states were made with a plugin that runs nothing."""
# Otherwise the engine writes a whole checkpoint for each of some thousand steps.
WITHOUT_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}


def measure(rounds: int, sizes: tuple[int, ...], log: Callable[[str], object]) -> Part:
    """Measures all sizes."""
    series, goals, rows = [], [], []
    for size in sizes:
        log(f"(e) {size} agents")
        with (
            bench_stack("bench-agents", of_size(size, own_address())) as one,
            bench_stack("bench-commands", one.config) as other,
        ):
            count = _state(one, other)
            runs: dict[str, list[single_run.Run]] = {OURS: [], INDEPENDENT: []}

            def preview(name: str, at: BenchStack, runs=runs, **more: Any) -> float:
                runs[name].append(at.run("preview", **more))
                return runs[name][-1].seconds

            found = measure_in_turns(
                rounds,
                {
                    OURS: lambda one=one, preview=preview: preview(OURS, one),
                    INDEPENDENT: lambda other=other, preview=preview, count=count: preview(
                        INDEPENDENT, other, program="commands", commands=count
                    ),
                },
                log,
            )
            state = len(one.stack.engine(one.tools).state().encode()) / 1024**2
        case = f"{size:,} agents, {count:,} Commands"
        series += [Series(case, name, values) for name, values in found.items()]
        goals.append(within(f"{size:,} agents", series[-2], series[-1], 1.2))
        mine, theirs = (max(run.engine_mib for run in runs[name]) for name in (OURS, INDEPENDENT))
        rows.append((f"{size:,}", amount(state, "MiB"), amount(mine, "MiB"), amount(theirs, "MiB")))
    if len(sizes) > 2:
        medians = {
            size: one.median
            for size, one in zip(sizes, [one for one in series if one.contender == OURS], strict=True)
        }
        found_bend = linear(medians)
        goals.append(
            Goal(
                "linear: the last step's slope ≤ 1.2 × the one before",
                found_bend <= 1.2,
                f"{found_bend:.2f} ×",
            )
        )
    table = Table(
        "State and memory",
        ("agents", "state", "engine's most memory", "with independent Commands"),
        tuple(rows),
    )
    return Part("e", "Preview by size", ABOUT, INDEPENDENT, tuple(series), tuple(goals), (table,))


def of_size(agents: int, server: str) -> dict[str, Any]:
    """The configuration of a server and this many agents, whose addresses do not exist."""
    hosts = {f"agent-{n}": f"10.9.{n // 200}.{n % 200 + 1}" for n in range(agents)}
    config = k3s_only_config({"server-1": server}, hosts)
    config["k3s"]["clusterCidr"] = POD_NETWORK
    return config


def own_address() -> str:
    """This computer's address: it refuses the Kubernetes plugin's connection to an API server at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # TEST-NET-2; nothing is sent
        return probe.getsockname()[0]


def _state(one: BenchStack, other: BenchStack) -> int:
    """Gives both stacks a state as after an `up`, and returns the number of Commands of each."""
    one.stack.state.mkdir(parents=True, exist_ok=True)
    key = identity.private_key(one.stack.state)
    identity.make_key(key, "nobody's")
    everybody = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    identity.update_known_hosts(one.stack.state, {"*": everybody})
    no_op = one.stack.folder / "no-op"
    launcher(no_op, "command", "rehearsal.bench.no_op_plugin")
    for at in (one, other):
        at.create_stack()
    one.run("up", path=(no_op,), environment=WITHOUT_CHECKPOINTS)
    count = sum(name.startswith("command:") for name in one.resources())
    other.run("up", "commands", path=(no_op,), environment=WITHOUT_CHECKPOINTS, commands=count)
    return count
