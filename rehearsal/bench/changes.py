"""Parts (b) nothing changed, (c) one agent more, (d) one profile changed, for Pulumi.dev.yaml."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pulumi import automation

from k3sgpu import capacity
from rehearsal.bench import flat_program, hand_run, single_run, ssh_traffic
from rehearsal.bench.bench_stack import AGENTS, BenchStack, bench_stack, k3s_only_config
from rehearsal.bench.cold_install import BY_HAND, UP, median_run, time_table, traffic_table
from rehearsal.bench.measure import Goal, Part, Series, measure_in_turns, within
from rehearsal.bench.mirror import RATES, Mirror, limited_mirror
from rehearsal.bench.peer_tool import Peer
from rehearsal.lab import ssh
from rehearsal.lab.fixture import stack_config
from rehearsal.process import RehearsalError
from rehearsal.toolchain import toolbox

SERVER, GPU = "server-1", "gpu-1"
OURS, FLAT, KUBECTL = "this program", "flat program", "kubectl"
PROFILE, KEY, RESOURCE = "2080ti-12gb", "nvidia.com/device-plugin.config", "nvidia.com/gpu"
CONFIG_MAP = ("--namespace", "gpu-operator", "configmap", "time-slicing-config")
FLAT_STACK = "bench-flat"
LAG_SECONDS = 20
WAIT_SECONDS = 120
POLL_SECONDS = 0.2
MACHINE_GPUS = "/etc/standin/gpus.json"

Log = Callable[[str], object]


def nothing_changed(rounds: int, peers: Mapping[str, Path], addresses: list[str], log: Log) -> Part:
    """Part (b): an `up` and a preview of an unchanged stack, against a flat program."""
    about = (
        "The stack of `Pulumi.dev.yaml` with operator and workloads, unchanged. The *flat program* registers"
        " the same resources with literal inputs, without components and settings, as one writes it by hand"
        " (`rehearsal/bench/flat_program.py`)."
    )
    with ExitStack() as stack:
        one = stack.enter_context(article_cluster(addresses[:2]))
        flat = stack.enter_context(bench_stack(FLAT_STACK, stack_config("dev")))
        resources = _make_flat(flat, one)
        runs: list[single_run.Run] = []
        ssh_traffic.start_counting(one.machines)
        began = time.time()
        contenders = {
            f"preview: {FLAT}": lambda: unchanged(flat.run("preview", "flat", resources=resources)),
            f"preview: {OURS}": lambda: unchanged(append(runs, one.run("preview"))),
            f"up: {FLAT}": lambda: unchanged(flat.run("up", "flat", resources=resources)),
            f"up: {OURS}": lambda: unchanged(one.run("up")),
        }
        for name, program in peers.items():
            theirs = peer_cluster(name, program, addresses[2 * len(contenders) :])
            contenders[f"up: {name}"] = stack.enter_context(theirs)
        found = measure_in_turns(rounds, contenders, log)
        seen = ssh_traffic.read_counters(one.machines, began, time.time())
    named = [(*name.split(": ", 1), values) for name, values in found.items()]
    series = [Series(case, contender, values) for case, contender, values in named]
    flat_preview, preview, flat_up, up = series[:4]
    tables = (
        time_table("an unchanged stack's preview", median_run(runs)),
        traffic_table("(g) SSH, all rounds", seen),
    )
    goals = (
        Goal("no SSH connection", logged(seen) == 0, f"{logged(seen)} connections"),
        within("preview", preview, flat_preview, 1.15),
        within("up", up, flat_up, 1.15),
    )
    return Part("b", "Nothing changed", about, FLAT, tuple(series), goals, tables)


def one_agent_more(rounds: int, nodes: int, addresses: list[str], log: Log) -> Part:
    """Part (c): an `up` with one agent more in a cluster of `nodes`, against its join by hand."""
    about = (
        f"One agent more in a cluster of {nodes} nodes, on a new machine in each round: `up` of the whole"
        " stack, compared with the staging of that agent and its join script over `ssh`. Both download"
        f" {RATES}."
    )
    new = iter(addresses[nodes:])
    with ExitStack() as stack:
        source = stack.enter_context(limited_mirror(toolbox.prepare(), stack_config("dev")["k3s"]["version"]))
        one = stack.enter_context(article_cluster(addresses[:nodes], source=source))
        runs: list[single_run.Run] = []
        seen: list[dict[str, ssh_traffic.Traffic]] = []

        def up() -> float:
            one.add_agent(f"new-{len(runs) + 1}", next(new))
            ssh_traffic.start_counting(one.machines)
            began = time.time()
            run = append(runs, one.run("up"))
            seen.append(ssh_traffic.read_counters(one.machines, began, time.time()))
            return run.seconds

        def by_hand() -> float:
            before = json.dumps(one.config["pools"])
            address = next(new)
            name = f"hand-{address.rpartition('.')[2]}"
            one.add_agent(name, address)
            try:
                return hand_run.join(one, name)
            finally:
                one.config["pools"] = json.loads(before)
                one.start_machines()

        found = measure_in_turns(rounds, {UP: up, BY_HAND: by_hand}, log)
    series = [Series("one agent more", name, values) for name, values in found.items()]
    touched = sorted(host for host, one in seen[-1].items() if one.logins)
    goals = (
        Goal("only the new agent and one server are contacted", len(touched) <= 2, ", ".join(touched)),
        within("up by the join", series[0], series[1], 1.5),
    )
    tables = (
        time_table("one agent more", median_run(runs)),
        traffic_table("(g) SSH, the last `up`", seen[-1]),
    )
    return Part("c", "One agent more", about, BY_HAND, tuple(series), goals, tables)


def one_profile_changed(rounds: int, addresses: list[str], log: Log) -> Part:
    """Part (d): an `up` with another number of slices, against kubectl."""
    about = (
        "Another number of slices, until the node has them allocatable: `up`, compared with `kubectl patch`"
        f" of the ConfigMap, `kubectl label` of the node and a poll every {POLL_SECONDS} s. The simulated"
        f" kubelet shows a changed ConfigMap after {LAG_SECONDS} s; a real one takes up to a minute or two."
    )
    with article_cluster(addresses[:2], lag=LAG_SECONDS) as one:
        runs: list[single_run.Run] = []

        def up() -> float:
            shared = one.config["sharing"]["profiles"][PROFILE]["timeSlicing"]["resources"][0]
            shared["replicas"] = 8 if shared["replicas"] == 6 else 6
            return append(runs, one.run("up")).seconds

        found = measure_in_turns(rounds, {UP: up, KUBECTL: lambda: share_with_kubectl(one)}, log)
    series = [Series("one profile", name, values) for name, values in found.items()]
    goals = (within("up by kubectl", series[0], series[1], 1.2),)
    tables = (time_table("one profile changed", median_run(runs)),)
    return Part("d", "One profile changed", about, KUBECTL, tuple(series), goals, tables)


@contextmanager
def article_cluster(addresses: list[str], lag: int = 0, source: Mirror | None = None) -> Iterator[BenchStack]:
    """The cluster of Pulumi.dev.yaml, with an agent without a GPU at each further address, after an `up`."""
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: addresses[0]}
    config["pools"]["rtx"]["hosts"] = {GPU: addresses[1]}
    if more := {f"plain-{number}": address for number, address in enumerate(addresses[2:], 1)}:
        config["pools"][AGENTS] = {"role": "agent", "hosts": more}
    with bench_stack("bench", config, source) as one:
        one.start_machines()
        if lag:
            # The simulated kubelet reads it when it starts.
            edit = f"sed -i '1s/{{/{{\"configMapLagSeconds\": {lag},/' {MACHINE_GPUS}"
            ssh.run(one.machines[GPU], edit)
        one.create_stack()
        one.run("up")
        one.stack.kubeconfig.touch(mode=0o600)
        one.stack.kubeconfig.write_text(one.stack.engine(one.tools).outputs()["kubeconfig"])
        yield one


@contextmanager
def peer_cluster(name: str, program: Path, addresses: list[str]) -> Iterator[Callable[[], float]]:
    """A cluster that a peer has installed on machines of its own: a function that calls it again."""
    config = k3s_only_config({"peer-server": addresses[0]}, {"peer-agent": addresses[1]})
    with (
        limited_mirror(toolbox.prepare(), config["k3s"]["version"]) as source,
        bench_stack(f"bench-{name}", config, source) as theirs,
    ):
        theirs.start_machines()
        peer = Peer.in_empty_folder(program, theirs)
        peer.install(theirs)
        yield lambda: peer.install(theirs)


def _make_flat(flat: BenchStack, one: BenchStack) -> list[dict[str, Any]]:
    """Gives `flat` the state of an `up` of the flat program on the cluster of `one`. Returns what the
    program registers."""
    ours, engine = one.stack.engine(one.tools), flat.stack.engine(flat.tools)
    engine.folder.mkdir(parents=True)
    shutil.copy(ours.folder / "passphrase", engine.folder)  # a state belongs to its passphrase
    flat.create_stack()
    deployment = ours.deployment()
    state = flat_program.flat_deployment(
        {"version": deployment.version, "deployment": deployment.deployment}, FLAT_STACK
    )
    engine.import_deployment(automation.Deployment(state["version"], state["deployment"]))
    return flat_program.registered(state)


def unchanged(run: single_run.Run) -> float:
    """Its seconds. Raises RehearsalError when something changed."""
    if changed := {op: count for op, count in run.counts.items() if op != "same" and count}:
        raise RehearsalError(f"expected that nothing changes; found {changed}")
    return run.seconds


def append(runs: list[single_run.Run], run: single_run.Run) -> single_run.Run:
    """The run, which is then among the others."""
    runs.append(run)
    return run


def logged(seen: dict[str, ssh_traffic.Traffic]) -> int:
    """All logins."""
    return sum(one.logins for one in seen.values())


def share_with_kubectl(one: BenchStack) -> float:
    """Seconds from the first word to the cluster until seven slices can be asked for; then as it was."""
    settings = one.stack.settings()
    before = next(key for key in capacity.config_map_data(settings) if key.startswith(PROFILE))
    slices = _slices(one)
    text = capacity.config_map_data(settings)[before].replace(f"replicas: {slices}", "replicas: 7")
    key = f"by-hand-{time.time_ns()}"
    began = time.perf_counter()
    one.kubectl("patch", *CONFIG_MAP, "--patch", json.dumps({"data": {key: text}}))
    one.kubectl("label", "--overwrite", "node", GPU, f"{KEY}={key}")
    _await(one, 7)
    seconds = time.perf_counter() - began
    one.kubectl("label", "--overwrite", "node", GPU, f"{KEY}={before}")
    one.kubectl("patch", *CONFIG_MAP, "--patch", json.dumps({"data": {key: None}}))
    _await(one, slices)
    return seconds


def _slices(one: BenchStack) -> int:
    node = one.get("node", GPU)
    return int(node["status"]["allocatable"].get(RESOURCE, 0))


def _await(one: BenchStack, slices: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := _slices(one)) != slices:
        if time.monotonic() > deadline:
            raise RehearsalError(f"{GPU}: after {WAIT_SECONDS} s {found} slices, expected {slices}")
        time.sleep(POLL_SECONDS)
