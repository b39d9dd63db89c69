"""(b) nothing changed, (c) one agent more, (d) one profile changed: on the article's cluster."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from k3sgpu import capacity
from rehearsal.bench import hand_run, single_run, ssh_traffic
from rehearsal.bench.bench_stack import BenchStack, bare, stand
from rehearsal.bench.cold_install import BY_HAND, PEER, UP, connections, middle, spent
from rehearsal.bench.measure import Goal, Part, Series, measure_in_turns, within
from rehearsal.bench.peer_tool import Peer
from rehearsal.lab import ssh
from rehearsal.lab.fixture import stack_config
from rehearsal.process import RehearsalError

SERVER, GPU = "server-1", "gpu-1"
PREVIEW, EMPTY = "pulumi preview", "empty preview"
PROFILE, KEY, RESOURCE = "2080ti-12gb", "nvidia.com/device-plugin.config", "nvidia.com/gpu"
CONFIG_MAP = ("--namespace", "gpu-operator", "configmap", "time-slicing-config")
LAG_SECONDS = 20
WAIT_SECONDS = 120
POLL_SECONDS = 0.2
MACHINE_GPUS = "/etc/standin/gpus.json"

Tell = Callable[[str], object]


def unchanged(rounds: int, peer: Path | None, addresses: list[str], tell: Tell) -> Part:
    """(b)"""
    about = (
        "The article's stack, operator and workloads included, and nothing has changed. *Empty preview* is"
        " the same engine on a program without a resource."
    )
    with ExitStack() as stack:
        one = stack.enter_context(standing(addresses))
        nothing = stack.enter_context(stand("bench-empty", stack_config("dev")))
        nothing.create_stack()
        runs: list[single_run.Run] = []
        ssh_traffic.begin(one.booted)
        began = time.time()
        contenders = {
            EMPTY: lambda: nothing.run("preview", "nothing").seconds,
            PREVIEW: lambda: kept(runs, one.run("preview")).seconds,
            UP: lambda: one.run("up").seconds,
        }
        if peer:
            theirs, program = stack.enter_context(of_peer(peer, addresses))
            contenders[PEER] = lambda: program.install(theirs)
        found = measure_in_turns(rounds, contenders, tell)
        seen = ssh_traffic.end(one.booted, began, time.time())
    series = [Series("nothing changed", name, values) for name, values in found.items()]
    empty, preview, up = series[:3]
    tables = (spent("an unchanged stack's preview", middle(runs)), connections("(g) SSH, all rounds", seen))
    goals = (
        Goal("no SSH connection", logged(seen) == 0, f"{logged(seen)} connections"),
        within("preview by the empty one", preview, empty, 1.2),
        within("up by the empty preview", up, empty, 1.2),
    )
    return Part("b", "Nothing changed", about, EMPTY, tuple(series), goals, tables)


def one_more(rounds: int, peer: Path | None, addresses: list[str], tell: Tell) -> Part:
    """(c)"""
    about = (
        "One agent more, on a new machine in each round: `up` of the whole stack, beside the join script of"
        " such an agent sent by `ssh`, and nothing else."
    )
    new = iter(addresses[4:])
    with ExitStack() as stack:
        one = stack.enter_context(standing(addresses))
        runs: list[single_run.Run] = []
        seen: list[dict[str, ssh_traffic.Traffic]] = []

        def up() -> float:
            one.add_agent(f"plain-{len(runs) + 1}", next(new))
            ssh_traffic.begin(one.booted)
            began = time.time()
            run = kept(runs, one.run("up"))
            seen.append(ssh_traffic.end(one.booted, began, time.time()))
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

        contenders = {UP: up, BY_HAND: by_hand}
        if peer:
            theirs, program = stack.enter_context(of_peer(peer, addresses))

            def again() -> float:
                address = next(new)
                theirs.add_agent(f"peer-{address.rpartition('.')[2]}", address)
                return program.install(theirs)

            contenders[PEER] = again
        found = measure_in_turns(rounds, contenders, tell)
    series = [Series("one agent more", name, values) for name, values in found.items()]
    touched = sorted(host for host, one in seen[-1].items() if one.logins)
    goals = (
        Goal("touches one host", len(touched) == 1, ", ".join(touched)),
        within("up by the join", series[0], series[1], 1.15),
    )
    tables = (spent("one agent more", middle(runs)), connections("(g) SSH, the last `up`", seen[-1]))
    return Part("c", "One agent more", about, BY_HAND, tuple(series), goals, tables)


def one_profile(rounds: int, addresses: list[str], tell: Tell) -> Part:
    """(d)"""
    about = (
        "Other slices, until the node offers them: `up`, beside `kubectl patch` of the ConfigMap, `kubectl"
        f" label` of the node and a look every {POLL_SECONDS} s. The simulated kubelet shows a changed"
        f" ConfigMap after {LAG_SECONDS} s; a real one takes up to a minute or two."
    )
    with standing(addresses, lag=LAG_SECONDS) as one:
        runs: list[single_run.Run] = []

        def up() -> float:
            shared = one.config["sharing"]["profiles"][PROFILE]["timeSlicing"]["resources"][0]
            shared["replicas"] = 8 if shared["replicas"] == 6 else 6
            return kept(runs, one.run("up")).seconds

        found = measure_in_turns(rounds, {UP: up, "the roll-out": lambda: roll_out(one)}, tell)
    series = [Series("one profile", name, values) for name, values in found.items()]
    goals = (within("up by the roll-out", series[0], series[1], 1.2),)
    tables = (spent("one profile changed", middle(runs)),)
    return Part("d", "One profile changed", about, "the roll-out", tuple(series), goals, tables)


@contextmanager
def standing(addresses: list[str], lag: int = 0) -> Iterator[BenchStack]:
    """The article's cluster, brought up."""
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: addresses[0]}
    config["pools"]["rtx"]["hosts"] = {GPU: addresses[1]}
    with stand("bench", config) as one:
        one.start_machines()
        if lag:
            # Read by the simulated kubelet when it starts.
            edit = f"sed -i '1s/{{/{{\"configMapLagSeconds\": {lag},/' {MACHINE_GPUS}"
            ssh.run(one.booted[GPU], edit)
        one.create_stack()
        one.run("up")
        one.stack.kubeconfig.touch(mode=0o600)
        one.stack.kubeconfig.write_text(one.stack.engine(one.tools).outputs()["kubeconfig"])
        yield one


@contextmanager
def of_peer(program: Path, addresses: list[str]) -> Iterator[tuple[BenchStack, Peer]]:
    """A cluster that a peer has installed, on machines of its own."""
    config = bare({"peer-server": addresses[2]}, {"peer-agent": addresses[3]})
    with stand("bench-peer", config) as theirs:
        theirs.start_machines()
        peer = Peer.anew(program, theirs)
        peer.install(theirs)
        yield theirs, peer


def kept(runs: list[single_run.Run], run: single_run.Run) -> single_run.Run:
    """The run, which is then among the others."""
    runs.append(run)
    return run


def logged(seen: dict[str, ssh_traffic.Traffic]) -> int:
    """All logins."""
    return sum(one.logins for one in seen.values())


def roll_out(one: BenchStack) -> float:
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
