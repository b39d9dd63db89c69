"""Runs entries of the catalogue: as many as possible on one stage, each from a whole cluster or from none."""

from __future__ import annotations

import contextlib
import copy
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from rehearsal.faults import leaks
from rehearsal.faults.fault import AGENT, SERVER, Fault, Life, Setting, quietly
from rehearsal.lab.fixture import eventually, stack_config, stage
from rehearsal.toolchain.golang import K3S_RELEASES, K3S_VERSION

# By setting: one runner may be at work on each at the same time.
ADDRESSES: Mapping[Setting, Mapping[str, str]] = {
    "bare": {SERVER: "10.77.0.211", AGENT: "10.77.0.212"},
    "whole": {SERVER: "10.77.0.213", AGENT: "10.77.0.214"},
}
# What a machine has of this program, k3s and the operator; a destroy leaves none of it.
TRACES = (
    "/usr/local/bin/k3s /etc/rancher /var/lib/rancher /etc/k3s-gpu-sharing /usr/local/lib/k3s-gpu-sharing"
)
READY = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
SAID_LINES = 60


@dataclass(frozen=True)
class Result:
    """What came of one entry."""

    fault: Fault
    seconds: float
    """From the beginning of the operation to its verdict."""
    why: str = ""
    """Nothing where it passed."""

    @property
    def passed(self) -> bool:
        return not self.why


def in_order(faults: Sequence[Fault]) -> list[Fault]:
    """The order in which least is built anew: by setting; a first `up`, changes on what it has made, what
    goes wrong with a destroy, the next first `up`; upgrades last."""
    ordered: list[Fault] = []
    for setting in ("bare", "whole"):
        mine = {when: [f for f in faults if (f.setting, f.when) == (setting, when)] for when in WHENS}
        firsts, ends = mine["first up"], mine["destroy"]
        ordered += [*firsts[:1], *mine["preview"], *mine["change"], *mine["refresh"]]
        for end, first in zip_longest(ends, firsts[1:]):
            ordered += [one for one in (end, first) if one]
        ordered += mine["upgrade"]
    return ordered


WHENS = ("preview", "first up", "change", "refresh", "upgrade", "destroy")


class Runner:
    """Runs one entry after the other. A stage on which one failed is thrown away."""

    def __init__(self, folder: Path, tell: Callable[[str], object]) -> None:
        self._folder, self._tell = folder, tell
        self._open = contextlib.ExitStack()
        self._life: Life | None = None
        self._sampler: leaks.Sampler | None = None
        self._setting: Setting | None = None
        self._cluster = False
        self._stages = 0

    def close(self) -> None:
        """Takes machines, and what was written beside them, away."""
        self._open.close()
        self._life, self._cluster = None, False

    def run(self, fault: Fault) -> Result:
        """The entry's whole story. Never raises for what goes wrong in it."""
        self._tell(f"{fault.name}: {fault.done} ({fault.when})")
        seconds = 0.0
        try:
            life = self._begin(fault)
            config = copy.deepcopy(life.config)
            deed = fault.deed(life)
            next(deed)
            seconds, said = verdict(life, fault)
            missing = [words for words in fault.seen if not re.search(words, said, re.IGNORECASE)]
            assert not missing, f"not said: {missing}"
            assert seconds <= fault.within, (
                f"the verdict took {seconds:.0f} s, at most {fault.within} allowed"
            )
            next(deed, None)
            if fault.refused:
                operation(life, fault)()
            self._cluster = {"preview": self._cluster, "destroy": False}.get(fault.when, True)
            well(life, self._cluster, whole=fault.setting == "whole")
            assert self._sampler
            found = leaks.scan(life.stage, life.booted, self._sampler)
            assert not found, f"leaked: {'; '.join(found)}"
            # The k3s section stays as the machines have it: the next generation must be another one.
            life.config.update(config, k3s=life.config["k3s"])
        except Exception as error:
            if self._life:
                self._tell("\n".join(self._life.stage.said[-SAID_LINES:]))
            self._tell(traceback.format_exc())
            with contextlib.suppress(Exception):
                self.close()
            return Result(fault, seconds, f"{type(error).__name__}: {error}"[:500])
        return Result(fault, seconds)

    def _begin(self, fault: Fault) -> Life:
        """A life in which the fault can happen."""
        if self._life is None or self._setting != fault.setting:
            self.close()
            self._life = self._stage(fault.setting)
        life, k3s = self._life, self._life.config["k3s"]
        begins = fault.when == "first up"
        too_late = fault.when == "upgrade" and k3s["version"] == K3S_RELEASES[-1]
        if self._cluster and (begins or too_late):
            life.stage.destroy()
            self._cluster = False
        if not self._cluster:
            k3s["version"] = K3S_RELEASES[0] if fault.when == "upgrade" else K3S_VERSION
        if not self._cluster and not begins:
            life.stage.up()
            self._cluster = True
        if fault.when == "change":
            life.generation()
        if fault.when == "upgrade":
            life.next_release()
        return life

    def _stage(self, setting: Setting) -> Life:
        self._setting = setting
        self._stages += 1
        folder = self._folder / f"{setting}-{self._stages}"
        self._sampler = self._open.enter_context(leaks.sampling(folder / "temporary"))
        secrets: dict[str, str] = {}
        made = self._open.enter_context(stage(f"faults-{setting}", folder, config_of(setting), secrets))
        return Life(made, made.machines_up(), secrets)


def config_of(setting: Setting) -> dict:
    """The stack file of a setting."""
    config = stack_config("dev")
    config["pools"]["control"]["hosts"] = {SERVER: ADDRESSES[setting][SERVER]}
    config["pools"]["rtx"]["hosts"] = {AGENT: ADDRESSES[setting][AGENT]}
    if setting == "bare":
        config["gpuOperator"]["enabled"] = False
        config["workloads"] = {}
    return config


def operation(life: Life, fault: Fault) -> Callable[[], object]:
    """What is run while the fault is there, and again when it is not."""
    made = life.stage

    def refreshed() -> None:
        made.refresh()
        made.up()

    return {"preview": made.preview, "refresh": refreshed, "destroy": made.destroy}.get(fault.when, made.up)


def verdict(life: Life, fault: Fault) -> tuple[float, str]:
    """Seconds that the operation took, and what the engine said in it. AssertionError where it was to be
    refused and was not; EngineFailed the other way round."""
    begin, began = len(life.stage.said), time.monotonic()
    act = operation(life, fault)
    if fault.refused:
        life.stage.refused(act)
    else:
        act()
    seconds = time.monotonic() - began
    life.settled()
    return seconds, "\n".join(life.stage.said[begin:])


def well(life: Life, cluster: bool, *, whole: bool) -> None:
    """Nothing half-done is left: a healthy cluster that needs no change, or clean machines."""
    if not cluster:
        assert life.stage.resources() == {}, f"still in the state: {list(life.stage.resources())}"
        for host in life.booted:
            left = life.on(host, f"ls -d {TRACES} 2>/dev/null || :")
            assert not left, f"still on {host}: {left}"
        return
    changes = life.stage.preview()
    assert set(changes) == {"same"}, f"the next up would change something: {changes}"
    ready, hosts = ("get", "nodes", "--output", READY), len(life.stage.site.settings().machines)
    all_ready = " ".join(["True"] * hosts)
    eventually("all nodes Ready", lambda: quietly(lambda: life.stage.kubectl(*ready) == all_ready))
    if whole:
        eventually("six slices", lambda: quietly(lambda: life.slices() == "6"))


@contextlib.contextmanager
def runner(folder: Path, tell: Callable[[str], object]) -> Iterator[Runner]:
    """A runner whose machines are gone afterwards."""
    one = Runner(folder, tell)
    try:
        yield one
    finally:
        one.close()


def pick(words: str, catalogue: Mapping[str, Fault], sample: Sequence[str]) -> list[Fault]:
    """The entries of `FAULTS=…`: all, names or areas with commas between, or nothing for the sample.
    ValueError for a name that is none."""
    wanted = [word for word in words.split(",") if word] or list(sample)
    areas = {one.area for one in catalogue.values()}
    if unknown := [word for word in wanted if word not in {"all", *areas, *catalogue}]:
        raise ValueError(
            f"FAULTS: no fault or area is called {', '.join(unknown)}; "
            f"the areas are {', '.join(sorted(areas))}, the faults {', '.join(sorted(catalogue))}"
        )
    chosen = [one for one in catalogue.values() if {"all", one.area, one.name} & set(wanted)]
    return in_order(chosen)
