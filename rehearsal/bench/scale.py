"""Part (e): a preview without changes by number of agents, against as many independent Commands; the size of
the state, and the engine's memory."""

import json
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from rehearsal.bench import single_run
from rehearsal.bench.bench_stack import BenchStack, bench_stack, k3s_only_config
from rehearsal.bench.measure import Goal, Part, Series, Table, linear, measure_in_turns, within
from rehearsal.bench.report_page import amount
from rehearsal.lab import identity
from rehearsal.simulators.plugins import launcher

SIZES = (10, 100, 300, 1000)
LEAST_SIZE = 100
"""A smaller stack's preview is the start of the engine, of Python and of the plugins."""
STATE_MIB = {300: 3, 1000: 10}
MEMORY_MIB = 410
LARGEST_FULL = 300
"""Larger stacks take minutes a run: they have half of the rounds, and no remote Commands beside them."""
OURS, INDEPENDENT, REMOTE = CONTENDERS = (
    "this program",
    "independent Commands",
    "independent remote Commands",
)
LOCAL_PROGRAM, REMOTE_PROGRAM = "commands", "remote commands"
OPERATIONS = ("create", "update", "delete")
FIELDS = 12
MIB = 1024**2
POD_NETWORK = "10.64.0.0/12"  # room for 4,096 nodes
ABOUT = """\
A preview of k3s with this many agents and nothing changed, compared with a preview of as many independent
local Commands as that stack has, and of as many remote ones: they have a connection and a secret stdin, as
this program's have, and no dependencies. The states were made with a plugin that runs nothing."""
# Otherwise the engine writes a whole checkpoint for each of some thousand steps.
WITHOUT_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}


def measure(rounds: int, sizes: tuple[int, ...], log: Callable[[str], object]) -> Part:
    """Measures all sizes."""
    series, goals, rows = [], [], []
    profile = Table("", (), ())
    for size in sizes:
        log(f"(e) {size} agents")
        found, runs, state = _measure_size(rounds, size, log)
        case = f"{size:,} agents"
        ours, independent, *remote = (Series(case, name, values) for name, values in found.items())
        series += [ours, independent, *remote]
        memory = {name: max(run.engine_mib for run in done) for name, done in runs.items()}
        mib = len(state.encode()) / MIB
        if size >= LEAST_SIZE:
            goals.append(within(case, ours, independent, 1.3))
        if size >= LEAST_SIZE and remote:
            goals.append(within(f"{case}, by remote Commands", ours, remote[0], 1.15))
        if size in STATE_MIB:
            goals.append(at_most(f"state of {case}", mib, STATE_MIB[size]))
        if size == max(SIZES):
            goals.append(at_most(f"engine's peak memory, {case}", memory[OURS], MEMORY_MIB))
        most = (amount(memory[name], "MiB") if name in memory else "" for name in CONTENDERS)
        rows.append((f"{size:,}", amount(mib, "MiB"), *most))
        fields = [(field, f"{count / size:,.0f}") for field, count in bytes_by_field(state).items()]
        profile = Table(f"The state of {case}", ("field", "bytes for an agent"), tuple(fields))
    if len(sizes) > 2:
        medians = zip(sizes, [one.median for one in series if one.contender == OURS], strict=True)
        bend = linear(dict(medians))
        text = "linear: the last step's slope ≤ 1.2 × the one before"
        goals.append(Goal(text, bend <= 1.2, f"{bend:.2f} ×"))
    tables = (
        Table("State, and the engine's most memory", ("agents", "state", *CONTENDERS), tuple(rows)),
        profile,
    )
    return Part("e", "Preview by size", ABOUT, INDEPENDENT, tuple(series), tuple(goals), tables)


def _measure_size(
    rounds: int, size: int, log: Callable[[str], object]
) -> tuple[dict[str, tuple[float, ...]], dict[str, list[single_run.Run]], str]:
    """The previews of this many agents: seconds and runs by contender, and the state of this program."""
    with (
        bench_stack("bench-agents", of_size(size, own_address())) as one,
        bench_stack("bench-commands", one.config) as local,
        bench_stack("bench-remote", one.config) as remote,
    ):
        others = {LOCAL_PROGRAM: local, REMOTE_PROGRAM: remote}
        if size > LARGEST_FULL:
            del others[REMOTE_PROGRAM]
        count = _state(one, others)
        runs: dict[str, list[single_run.Run]] = {}

        def preview(name: str, at: BenchStack, program: str) -> float:
            run = at.run("preview", program, commands=count)
            runs.setdefault(name, []).append(run)
            return run.seconds

        contenders = {
            OURS: lambda: preview(OURS, one, "ours"),
            INDEPENDENT: lambda: preview(INDEPENDENT, local, LOCAL_PROGRAM),
        }
        if REMOTE_PROGRAM in others:
            contenders[REMOTE] = lambda: preview(REMOTE, remote, REMOTE_PROGRAM)
        else:
            rounds = (rounds + 1) // 2
        found = measure_in_turns(rounds, contenders, log)
        return found, runs, one.stack.engine(one.tools).state()


def bytes_by_field(state: str) -> dict[str, int]:
    """Bytes of a state by field of its resources, the most first; inputs and outputs together."""
    sizes: Counter[str] = Counter()
    for resource in json.loads(state)["checkpoint"]["latest"]["resources"]:
        for name, value in resource.items():
            parts = value if name in ("inputs", "outputs") else {name: value}
            for part, content in parts.items():
                field = "create, update, delete" if part in OPERATIONS else part
                sizes[field] += len(json.dumps({part: content}, separators=(",", ":"))) - 1
    most = sizes.most_common(FIELDS)
    return dict(most) | {"the rest": sizes.total() - sum(count for _, count in most)}


def at_most(text: str, found: float, limit: float) -> Goal:
    """The goal that a size in MiB is at most `limit`."""
    return Goal(f"{text} ≤ {limit:g} MiB", found <= limit, amount(found, "MiB"))


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


def _state(one: BenchStack, others: Mapping[str, BenchStack]) -> int:
    """Gives a stack of this program, and one of each other program, a state as after an `up`.

    Returns the number of Commands of each.
    """
    one.stack.state.mkdir(parents=True, exist_ok=True)
    key = identity.private_key(one.stack.state)
    identity.make_key(key, "nobody's")
    everybody = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    identity.update_known_hosts(one.stack.state, {"*": everybody})
    no_op = one.stack.folder / "no-op"
    launcher(no_op, "command", "rehearsal.bench.no_op_plugin")
    for at in (one, *others.values()):
        at.create_stack()
    one.run("up", path=(no_op,), environment=WITHOUT_CHECKPOINTS)
    count = sum(name.startswith("command:") for name in one.resources())
    for program, at in others.items():
        at.run("up", program, path=(no_op,), environment=WITHOUT_CHECKPOINTS, commands=count)
    return count
