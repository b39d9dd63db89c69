"""Thousands of valid and broken sharing files: the settings agree with NVIDIA's own parser, or are stricter.

The parser is the device plugin's (k8s-device-plugin/api/config/v1, v0.19.0), asked through tests/oracle.
"""

import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from k3sgpu import capacity
from k3sgpu import settings as s
from rehearsal.progress import Progress
from rehearsal.toolchain import golang
from tests.data.stack_files import with_

TESTS = Path(__file__).parents[1]
ORACLE = golang.Program(
    module="oracle",
    target=".",
    seconds=20,
    what="building NVIDIA's parser of sharing files",
    folder=TESTS / "oracle",
)
FILES = 4000
WAYS = ("timeSlicing", "mps")


@dataclass(frozen=True)
class Meaning:
    """The meaning of a file: its strategy, and each shared resource with its new name and its slices."""

    strategy: str
    mig_strategy: str
    fail: bool
    shared: tuple[tuple[str, str, int], ...]


# What NVIDIA's parser accepts and the settings refuse: the problem, and why


@dataclass(frozen=True)
class Stricter:
    """A reason for being stricter; `tells` recognises its problems."""

    because: str
    tells: Callable[[s.Problem], bool]


STRICTER = {
    "an unknown key": Stricter(
        "it is ignored without a word, and so is what its writer wanted",
        lambda p: p.found.startswith("the unknown key"),
    ),
    "a key without a value": Stricter(
        "null is taken for absent, so a slip would switch something off unseen",
        lambda p: p.found.startswith("nothing (the key has no value)"),
    ),
    "a resource that no card is": Stricter(
        "the plugin skips it without a word when it runs", lambda p: "skips any other name" in p.expected
    ),
    "a resource twice": Stricter(
        "the plugin takes the larger number, feature discovery the first", lambda p: "second time" in p.found
    ),
    "a whole number written as a fraction": Stricter(
        "6.0 is a number of slices to the parser; to a reader it is a slip",
        lambda p: p.found.endswith(".0 (a number)"),
    ),
    "more slices than a card has memory for": Stricter(
        "the plugin has no maximum; a process on each of so many slices has no room",
        lambda p: p.expected.startswith("at most 1000: "),
    ),
    "mps beside timeSlicing": Stricter(
        "mps alone counts, timeSlicing is passed over without a word",
        lambda p: p.found.endswith("beside mps"),
    ),
    "mps that lets greater requests pass": Stricter(
        "the plugin fails them whatever the file says", lambda p: "always fails a request" in p.expected
    ),
    "mps of partitions": Stricter(
        "the plugin stops when it meets the partitions", lambda p: "MIG devices" in p.expected
    ),
    "more clients than MPS serves": Stricter(
        "the control daemon stops when it starts", lambda p: "maximum allowed replicas" in p.expected
    ),
    "a MIG strategy that is none": Stricter(
        "the plugin stops at its check of flags, after the parser; `none` is the absence of the key",
        lambda p: p.where.endswith(".migStrategy") and "single, mixed" in p.expected,
    ),
}


# Files: valid ones, and ones with mistakes


def good(rng: random.Random) -> dict[str, Any]:
    """A valid profile: the section `sharing` of the plugin's file, and `migStrategy`."""
    if rng.random() < 0.05:
        return {}
    way = rng.choice(WAYS)
    names = ["nvidia.com/gpu", "gpu"]
    if way == "timeSlicing":
        names += ["nvidia.com/mig-1g.5gb", "mig-3g.20gb", "nvidia.com/mig-1g.10gb.me", "mig-7g.141gb"]
    chosen = {
        name.removeprefix("nvidia.com/"): name for name in rng.sample(names, rng.randint(1, len(names)))
    }
    shared: dict[str, Any] = {
        "resources": [{"name": name, "replicas": rng.randint(2, 48)} for name in chosen.values()]
    }
    for key in ("renameByDefault", "failRequestsGreaterThanOne"):
        if rng.random() < 0.3:
            shared[key] = True if way == "mps" and key.startswith("fail") else rng.choice([True, False])
    profile: dict[str, Any] = {way: shared}
    if way == "timeSlicing" and rng.random() < 0.3:
        profile["migStrategy"] = rng.choice(["single", "mixed"])
    return profile


NAMES = [
    *(
        "",
        "nvidia.com/",
        "nvidia.com/GPU",
        "gpu.shared",
        "mig-1c.2g.10gb",
        "mig-1g.5gb+me",
        "mig",
        "amd.com/gpu",
    ),
    *(
        "a" * 60,
        "nvidia.com/" + "a" * 52,
        "nvidia.com/" + "a" * 53,
        "mig-1g.5gb" + ".me" * 20,
        "-gpu",
        "gpu_1",
    ),
    *(
        None,
        5,
        True,
        1.5,
        [],
        {},
        "mig-0g.5gb",
        "mig-01g.5gb",
        "mig-1g.5gb.",
        "gpu ",
        "nvidia.com/nvidia.com/gpu",
    ),
]
NUMBERS = [1, 0, -1, 2.5, 6.0, "6", None, True, [], 49, 10_000, 2**31, 2**63 - 1, 2**63, 10**20, 1e3, "six"]
FLAGS = [True, False, "true", 0, 1, None, [], "yes"]
DEVICES = ["all", 0, 1, 2, -1, [], [0], ["0:1"], ["x"], "some", None, {}, True, ["GPU-b1028956"]]
THINGS = [None, [], {}, "x", 1, True, [None], [[]], ["gpu"]]


def slip(profile: dict[str, Any], rng: random.Random) -> None:
    """Makes one mistake in a profile, likely or unlikely."""
    ways = [way for way in WAYS if isinstance(profile.get(way), dict)]
    shared = profile[rng.choice(ways)] if ways else profile
    entries = shared.get("resources")
    entries = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    entry = rng.choice(entries) if entries else shared

    def other_way() -> None:
        profile.update({rng.choice(WAYS): good(rng).get("timeSlicing", {})})

    def twice() -> None:
        if isinstance(shared.get("resources"), list) and entries:
            shared["resources"].append({**entry, "replicas": rng.randint(2, 9)})

    def wrong_level() -> None:
        rng.choice([profile, shared, entry])[
            rng.choice(["renameByDefault", "replicas", "resources", "rename", "mps", "Resources", "flags"])
        ] = rng.choice([True, 2, "nvidia.com/x", []])

    rng.choice(
        [
            lambda: entry.update(name=rng.choice(NAMES)),
            lambda: entry.update(replicas=rng.choice(NUMBERS)),
            lambda: entry.update(devices=rng.choice(DEVICES)),
            lambda: entry.update(rename=rng.choice(NAMES)),
            lambda: entry.pop(rng.choice(["name", "replicas"]), None),
            lambda: shared.update(renameByDefault=rng.choice(FLAGS)),
            lambda: shared.update(failRequestsGreaterThanOne=rng.choice(FLAGS)),
            lambda: shared.update(resources=rng.choice(THINGS)),
            lambda: shared.pop("resources", None),
            lambda: profile.update({rng.choice(WAYS): rng.choice(THINGS)}),
            lambda: profile.update(
                migStrategy=rng.choice(["none", "mixed", "single", "Mixed", "", None, 1, []])
            ),
            other_way,
            twice,
            wrong_level,
        ]
    )()


def profiles() -> list[dict[str, Any]]:
    """FILES profiles, the same in every run: a third of them valid, the others with one or two mistakes."""
    rng = random.Random("sharing files")
    made = []
    for number in range(FILES):
        profile = good(rng)
        for _ in range(number % 3):
            slip(profile, rng)
        made.append(json.loads(json.dumps(profile)))  # no part of one is a part of another
    return made


def as_plugin_file(profile: dict[str, Any]) -> str:
    """The profile as a file for the plugin."""
    sharing = {key: value for key, value in profile.items() if key != "migStrategy"}
    flags = {"flags": {"migStrategy": profile["migStrategy"]}} if "migStrategy" in profile else {}
    return yaml.safe_dump({"version": "v1", **flags, "sharing": sharing}, sort_keys=False)


# The two parsers


def asked(oracle: Path, texts: Iterable[str]) -> list[Meaning | str]:
    """For each file its meaning, or the plugin's error."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    said = subprocess.run(
        [oracle], input=lines, capture_output=True, text=True, timeout=300, check=True
    ).stdout
    return [_meaning(json.loads(line)) for line in said.splitlines()]


def _meaning(said: dict[str, Any]) -> Meaning | str:
    if error := said.get("error"):
        return error
    shared = tuple((one["name"], one["rename"], one["replicas"]) for one in said["shared"])
    # none is the plugin's default: a file without the flag means the same.
    mig_strategy = said["migStrategy"].replace("none", "")
    return Meaning(said["strategy"], mig_strategy, said["fail"], shared)


def ours(profile: dict[str, Any]) -> s.Profile | list[s.Problem]:
    """The profile as the settings parse it, or its problems."""
    try:
        parsed = s.parse(with_({"sharing/profiles/six": profile, "workloads": {}}))
    except s.SettingsError as refused:
        return [problem for problem in refused.problems if problem.severity == "error"]
    return parsed.sharing.profiles["six"]


def meant(profile: s.Profile) -> Meaning:
    """The meaning of a profile for the settings."""
    shared = profile.shared
    if not shared:
        return Meaning("none", profile.mig_strategy or "", False, ())
    renamed = {one.name: shared.slice_name(one.name) for one in shared.resources}
    return Meaning(
        "mps" if profile.mps else "time-slicing",
        profile.mig_strategy or "",
        shared.fail_requests_greater_than_one,
        tuple(
            (one.name, "" if renamed[one.name] == one.name else renamed[one.name], one.replicas)
            for one in shared.resources
        ),
    )


@pytest.fixture(scope="module")
def oracle() -> Path:
    return golang.build(ORACLE, golang.toolchain(Progress()), Progress()) / "oracle"


def test_settings_agree_with_the_plugins_own_parser(oracle: Path):
    cases = profiles()
    theirs = asked(oracle, map(as_plugin_file, cases))
    assert len(theirs) == len(cases)
    counts: Counter[str] = Counter()
    written: list[tuple[str, Meaning]] = []
    for profile, verdict in zip(cases, theirs, strict=True):
        mine, file = ours(profile), as_plugin_file(profile)
        if isinstance(mine, s.Profile):
            assert isinstance(verdict, Meaning), f"we accept what the plugin stops at ({verdict}):\n{file}"
            assert meant(mine) == verdict, file
            written.append((capacity.device_plugin_config(mine), verdict))
            counts["both accept"] += 1
        elif isinstance(verdict, str):
            counts["both refuse"] += 1
        else:
            names = [name for name, rule in STRICTER.items() if any(map(rule.tells, mine))]
            assert names, f"we alone refuse, and no reason is named: {s.render(mine)}\n{file}"
            counts.update(names)
    # The file that we write for the plugin has the same meaning.
    assert asked(oracle, (text for text, _ in written)) == [verdict for _, verdict in written]
    print("\n".join(f"{count:>5}  {name}" for name, count in counts.most_common()))
    assert min(counts["both accept"], counts["both refuse"]) > FILES // 10
    assert set(STRICTER) <= set(counts), "a reason that no file needs"
