"""Part (a): a cold `up` of k3s on bare machines, against the same scripts over ssh and other installers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rehearsal.bench import hand_run, mirror, single_run, ssh_traffic
from rehearsal.bench.bench_stack import BenchStack, bench_stack, k3s_only_config
from rehearsal.bench.measure import Goal, Part, Series, Table, measure_in_turns, within
from rehearsal.bench.peer_tool import Peer
from rehearsal.bench.report_page import amount
from rehearsal.toolchain import toolbox

UP, BY_HAND = "pulumi up", "by hand"
BY_HAND_LIMITS = {"1+1": 1.15, "3+5": 1.05}
PEER_LIMIT = 1.0
ABOUT = f"""\
k3s on bare machines (servers + agents): `up` of a stack without the operator, from the start of the process
to its end. *By hand* means the same scripts over `ssh`, preflight and staging included, each as soon as it
can run: the critical path. Disks are empty in every round. All contenders download {mirror.RATES}. A size
keeps its figures until it is measured again."""


def measure(
    rounds: int,
    peers: Mapping[str, Path],
    addresses: list[str],
    sizes: list[str],
    log: Callable[[str], object],
) -> Part:
    """Measures all sizes, each given as "servers+agents"."""
    series: list[Series] = []
    goals: list[Goal] = []
    tables: list[Table] = []
    for case in sizes:
        servers, agents = map(int, case.split("+"))
        names = [*(f"server-{n + 1}" for n in range(servers)), *(f"agent-{n + 1}" for n in range(agents))]
        hosts = dict(zip(names, addresses, strict=False))
        config = k3s_only_config(dict(list(hosts.items())[:servers]), dict(list(hosts.items())[servers:]))
        log(f"(a) {case}")
        with (
            mirror.limited_mirror(toolbox.prepare(), config["k3s"]["version"]) as source,
            bench_stack("bench", config, source) as one,
        ):
            runs: list[single_run.Run] = []
            seen: list[dict[str, ssh_traffic.Traffic]] = []
            contenders = {
                UP: lambda one=one, runs=runs, seen=seen: up(one, runs, seen),
                BY_HAND: lambda one=one: by_hand(one),
                **{
                    name: lambda one=one, program=program: install_with_peer(one, program)
                    for name, program in peers.items()
                },
            }
            found = measure_in_turns(rounds, contenders, log)
        measured = [Series(case, name, values) for name, values in found.items()]
        series += measured
        goals += limits(case, measured)
        tables += [
            time_table(_caption(case), median_run(runs)),
            traffic_table(f"(g) SSH, {_caption(case)}", seen[-1]),
        ]
    return Part("a", "Cold up", ABOUT, BY_HAND, tuple(series), tuple(goals), tuple(tables))


def with_other_sizes(part: Part, earlier: Part) -> Part:
    """The part with the sizes that only an earlier run has measured."""
    measured = {one.case for one in part.series}
    other = {one.case: None for one in earlier.series if one.case not in measured}
    return replace(
        part,
        series=(*(one for one in earlier.series if one.case in other), *part.series),
        goals=(*(one for one in earlier.goals if one.limit and one.limit.case in other), *part.goals),
        tables=(
            *(one for case in other for one in earlier.tables if one.caption.endswith(f", {_caption(case)}")),
            *part.tables,
        ),
    )


def _caption(case: str) -> str:
    return f"{case}, one cold `up`"


def limits(case: str, measured: Sequence[Series]) -> list[Goal]:
    """The goals of one size: `up` by the run by hand, where it has a limit, and by each peer."""
    ours = next(one for one in measured if one.contender == UP)
    limit = {one.contender: PEER_LIMIT for one in measured if one.contender not in (UP, BY_HAND)}
    if case in BY_HAND_LIMITS:
        limit[BY_HAND] = BY_HAND_LIMITS[case]
    return [
        within(f"{case}: up by {one.contender.removeprefix('by ')}", ours, one, limit[one.contender])
        for one in measured
        if one.contender in limit
    ]


def up(one: BenchStack, runs: list[single_run.Run], seen: list[dict[str, ssh_traffic.Traffic]]) -> float:
    """Runs a cold `up`, appends to `runs` and `seen`, and returns its seconds."""
    one.reset()
    ssh_traffic.start_counting(one.machines)
    began = time.time()
    runs.append(one.run("up"))
    seen.append(ssh_traffic.read_counters(one.machines, began, time.time()))
    return runs[-1].seconds


def by_hand(one: BenchStack) -> float:
    """Installs the same cluster without an engine."""
    one.reset()
    return hand_run.install(one)


def install_with_peer(one: BenchStack, program: Path) -> float:
    """Installs the same cluster with the peer."""
    one.reset()
    return Peer.in_empty_folder(program, one).install(one)


def median_run(runs: list[single_run.Run]) -> single_run.Run:
    """The run with the median time, or the next slower one."""
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


def time_table(case: str, run: single_run.Run) -> Table:
    """A table of the time that a run spent in each phase and in its longest operations."""
    began = min((begins for _, begins, _ in run.steps), default=run.seconds)
    ended = max((ends for _, _, ends in run.steps), default=run.seconds)
    program, registered = run.moments["program"], run.moments["registered"]
    rows = [
        ("Python and the SDK start", run.moments["imported"]),
        ("the CLI starts, until the program's first line", program - run.moments["imported"]),
        ("the program: imports, settings, fit, registering", registered - program),
        ("until the first operation: plugins start, unchanged resources are compared", began - registered),
        ("operations", ended - max(began, registered)),
        ("after the last operation", run.seconds - ended),
    ]
    longest = sorted(run.steps, key=lambda step: step[1] - step[2])[:8]
    return Table(
        f"Where {amount(run.seconds, 's')} went, {case}",
        ("", "took"),
        tuple((what, amount(max(took, 0), "s")) for what, took in rows)
        + tuple((f"operation {name}", amount(ends - begins, "s")) for name, begins, ends in longest),
    )


def traffic_table(caption: str, seen: dict[str, ssh_traffic.Traffic]) -> Table:
    """Part (g): a table of logins and bytes by machine."""
    return Table(
        caption,
        ("machine", "connections", "KiB to it", "KiB from it"),
        tuple(
            (host, str(one.logins), f"{one.sent_to / 1024:.0f}", f"{one.came_from / 1024:.0f}")
            for host, one in sorted(seen.items())
        ),
    )
