"""The bench's arithmetic, its page and its chart, and how it calls others."""

import hashlib
import http.client
import json
import platform
import socket
import ssl
import stat
import threading
from argparse import ArgumentTypeError
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from k3sgpu.handoff.staging import parse_stage_plan
from k3sgpu.settings import parse
from rehearsal.bench import __main__ as command
from rehearsal.bench import (
    cold_install,
    flat_program,
    hand_run,
    mirror,
    mirror_server,
    peer_tool,
    plan_benchmark,
    results,
    scale,
    ssh_traffic,
)
from rehearsal.bench.bench_stack import k3s_only_config
from rehearsal.bench.measure import Goal, Limit, Part, Series, Table, linear, measure_in_turns, within
from rehearsal.bench.report_page import amount, page, rows
from rehearsal.lab.engine import ROOT
from rehearsal.process import RehearsalError
from rehearsal.toolchain.toolbox import RELEASE_FILES
from tools import plan

VERSION = "v1.36.2+k3s1"
HAND, OURS = Series("1 + 1", "by hand", (2.0, 4.0, 3.0)), Series("1 + 1", "up", (3.0, 9.0, 3.3))
PART = Part(
    letter="a",
    title="Cold <up>",
    about="How it was done.",
    baseline="by hand",
    series=(HAND, OURS),
    goals=(within("up by hand", OURS, HAND, 1.15), Goal("one host", False, "gpu-1, gpu-2")),
    tables=(Table("Where it went", ("", "took"), (("start", "0.40 s"),)),),
    when="2026-11-25 13:00 UTC",
    load=(0.5, 1.5),
)


def test_one_slow_round_does_not_move_the_median() -> None:
    assert OURS.median == 3.3 and OURS.spread == (3.0, 9.0)
    goal = within("up", OURS, HAND, 1.15)
    assert goal == Goal("up ≤ 1.15 ×", True, "1.10 ×", Limit("1 + 1", "up", "by hand", 1.15))
    assert not within("up", replace(OURS, values=(3.5,)), HAND, 1.15).met


def test_contenders_run_in_alternating_order() -> None:
    order: list[str] = []

    def one(name: str, value: float) -> float:
        order.append(name)
        return value

    told: list[str] = []
    found = measure_in_turns(3, {"a": lambda: one("a", 1), "b": lambda: one("b", 2)}, told.append)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": (1, 1, 1), "b": (2, 2, 2)} and len(told) == 6


@pytest.mark.parametrize(
    ("costs", "bend"),
    [
        ({10: 1.1, 100: 2.0, 1000: 11.0}, 1.0),
        ({10: 1, 100: 100, 1000: 10_000}, 10),
        ({1: 1, 2: 1, 3: 2}, None),
    ],
)
def test_slope_ratio_of_a_straight_line_is_one(costs: dict[int, float], bend: float | None) -> None:
    assert linear(costs) == (float("inf") if bend is None else pytest.approx(bend))


def test_results_are_read_back_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    assert results.load(file) == {}
    results.save(file, {"b": replace(PART, letter="b"), "a": PART}, "a computer")
    assert results.load(file) == {"a": PART, "b": replace(PART, letter="b")}
    assert list(results.load(file)) == ["a", "b"]


def test_measuring_a_part_again_keeps_the_others(tmp_path: Path) -> None:
    for part in (PART, replace(PART, letter="f", title="Fit"), replace(PART, title="Cold again")):
        command.save_part(tmp_path, part)
    assert [part.title for part in results.load(tmp_path / "bench.json").values()] == ["Cold again", "Fit"]
    text = (tmp_path / "bench.md").read_text()
    assert "## (a) Cold again" in text and "## (f) Fit" in text and "Cold <up>" not in text
    assert "Cold again" in (tmp_path / "bench.svg").read_text()


def test_measuring_one_size_keeps_the_others(tmp_path: Path) -> None:
    def measured(case: str, seconds: float) -> Part:
        hand, ours = Series(case, "by hand", (1.0,)), Series(case, "pulumi up", (seconds,))
        table = Table(f"Where it went, {case}, one cold `up`", ("", "took"), ())
        goals = (within(f"{case}: up by hand", ours, hand, 1.15),)
        return replace(PART, series=(hand, ours), goals=goals, tables=(table,))

    for part in (measured("1+1", 2), measured("1+20", 3), measured("1+1", 4)):
        command.save_part(tmp_path, part)
    found = results.load(tmp_path / "bench.json")["a"]
    assert [(one.case, one.median) for one in found.series if one.contender == "pulumi up"] == [
        ("1+20", 3),
        ("1+1", 4),
    ]
    assert [goal.found for goal in found.goals] == ["3.00 ×", "4.00 ×"]
    assert ["1+20" in table.caption for table in found.tables] == [True, False]


def test_the_page_shows_which_goals_are_met() -> None:
    text = page({"a": PART}, "two cores", "So it is.", "abcf")
    assert "**The computer:** two cores" in text and "So it is." in text
    assert "| [(a) Cold <up>](#a-cold-up) | up by hand ≤ 1.15 × | 1.10 × | yes |" in text
    assert "|  | one host | gpu-1, gpu-2 | **no** |" in text
    assert "Not measured yet: b, c, f." in text
    assert "| 1 + 1 | up | 3.30 s | 3.00 s – 9.00 s | 3 | 1.10 |" in text
    assert "| start | 0.40 s |" in text and "load average 0.5 before, 1.5 after" in text


def test_the_page_asks_to_explain_a_missed_goal() -> None:
    asked = "Missed, and not explained yet: a."
    assert asked in page({"a": PART}, "", "### (b) Another part", "a")
    assert asked not in page({"a": PART}, "", "### (a) Two hosts", "a")


def test_a_long_table_is_folded() -> None:
    long = Table("One `up`", ("host", "KiB"), (("gpu-1", "1"),) * 9)
    text = page({"a": replace(PART, tables=(*PART.tables, long))}, "", "", "a")
    assert "<summary>One <code>up</code></summary>\n\n| host | KiB |" in text
    assert "Where it went:\n\n|" in text and text.count("</details>") == 1


def test_columns_of_numbers_are_right_aligned() -> None:
    body = [("server-1", "1.20 s", "1 s – 3 s", "2, 3"), ("1.15 × by hand", "", "0.9 × – 1 ×", "none")]
    assert rows(("", "", "", ""), body)[1] == "| --- | ---: | ---: | --- |"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0034, "s", "3.40 ms"),
        (3.456, "s", "3.46 s"),
        (34.56, "s", "34.6 s"),
        (345.6, "s", "346 s"),
        (0.05, "MiB", "51.2 KiB"),
        (1212.4, "MiB", "1,212 MiB"),
        (0, "s", "0.00 s"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_counters_of_the_packet_filter_are_parsed() -> None:
    """As the machines' iptables prints it; the newest counter stands first."""
    listing = """Chain INPUT (policy ACCEPT 0 packets, 0 bytes)
    pkts      bytes target     prot opt in     out     source               destination
      12     4321            tcp  --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:22
      99    99999            tcp  --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:22
"""
    assert (
        ssh_traffic.counted_bytes(listing)
        == ssh_traffic.counted_bytes(listing.replace("tcp  --", "6    --"))
        == 4321
    )
    assert ssh_traffic.counted_bytes("Chain OUTPUT") == 0


# By hand


def test_scripts_of_a_stack_know_their_predecessors() -> None:
    graph = plan.planned(ROOT / "Pulumi.dev.yaml", "dev")
    found = {one.name: one for one in hand_run.scripts(graph)}
    teardown_commands = {
        "cluster-clean-server-1",
        "cluster-clean-gpu-1",
        "cluster-leave-gpu-1",
        "cluster-forget-gpu-1",
    }
    assert not teardown_commands & found.keys() and "cluster-upkeep-gpu-1" not in found
    agent = found["cluster-agent-gpu-1"]
    assert agent.address == "10.77.0.21" and "ROLE=agent" in agent.text and agent.stdin
    assert agent.after == {
        "cluster-preflight",
        "cluster-stage",
        "cluster-server-server-1",
        "cluster-tokens",
    }
    assert found["cluster-preflight"].address is None
    assert "K3SGPU_INVENTORY" in found["cluster-preflight"].environment


def test_one_host_is_staged_alone_by_hand() -> None:
    graph = plan.planned(ROOT / "Pulumi.dev.yaml", "dev")
    (whole,) = [one for one in hand_run.scripts(graph) if one.name == hand_run.STAGE]
    one = hand_run.of_one_host(whole, "gpu-1")
    hosts = parse_stage_plan(json.loads(one.environment[hand_run.STAGE_PLAN]))["hosts"]
    assert [host["name"] for host in hosts] == ["gpu-1"]
    assert one.text == whole.text and one.stdin == whole.stdin


def test_each_script_runs_after_its_predecessors() -> None:
    def script(name: str, *after: str) -> hand_run.Script:
        return hand_run.Script(name, None, "", "", {}, frozenset(after))

    order: list[str] = []

    def run(one: hand_run.Script) -> str:
        assert one.after <= {"earlier", *order}
        order.append(one.name)
        return one.name.upper()

    todo = [script("c", "a", "b"), script("b", "a"), script("a", "earlier")]
    seconds, said = hand_run.timed(todo, run, {"earlier": "E"})
    assert order == ["a", "b", "c"] and seconds >= 0
    assert said == {"earlier": "E", "a": "A", "b": "B", "c": "C"}


# A peer


@dataclass
class FakeStack:
    """The parts of a BenchStack that a peer uses."""

    config: dict[str, Any]
    machines: dict[str, Any]
    stack: Any


@pytest.fixture
def stack(tmp_path: Path) -> Any:
    return FakeStack(
        k3s_only_config({"server-1": "10.77.0.220"}, {"agent-1": "10.77.0.221", "agent-2": "10.77.0.222"}),
        {name: name for name in ("server-1", "agent-1", "agent-2")},
        SimpleNamespace(state=tmp_path / "state"),
    )


def a_peer(folder: Path, script: str) -> peer_tool.Peer:
    program = folder / "install-k3s"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return peer_tool.Peer(program, folder)


def nodes(**ready: bool) -> str:
    return json.dumps(
        {
            "items": [
                {
                    "metadata": {"name": name.replace("_", "-")},
                    "status": {"conditions": [{"type": "Ready", "status": str(yes)}]},
                }
                for name, yes in ready.items()
            ]
        }
    )


def test_a_peer_gets_its_environment_and_is_awaited(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([nodes(server_1=True, agent_1=False), nodes(server_1=True, agent_1=True, agent_2=True)])
    asked: list[str] = []
    monkeypatch.setattr(peer_tool.ssh, "run", lambda machine, text: asked.append(machine) or next(answers))
    seconds = a_peer(tmp_path, "env | grep ^PEER_ | sort >told").install(cast(Any, stack))
    version = stack.config["k3s"]["version"]
    assert seconds > 0 and asked == ["server-1", "server-1"]
    assert dict(line.split("=", 1) for line in (tmp_path / "told").read_text().splitlines()) == {
        "PEER_SERVERS": "server-1=10.77.0.220",
        "PEER_AGENTS": "agent-1=10.77.0.221 agent-2=10.77.0.222",
        "PEER_USER": "root",
        "PEER_KEY": f"{tmp_path}/state/id_ed25519",
        "PEER_KNOWN_HOSTS": f"{tmp_path}/state/known_hosts",
        "PEER_VERSION": version,
    }
    assert all(name in (peer_tool.__doc__ or "") for name in peer_tool.environment(stack))


def test_a_peer_starts_a_new_cluster_in_an_empty_folder(stack: Any, tmp_path: Path) -> None:
    stack.stack.folder = tmp_path
    (peer_tool.Peer.in_empty_folder(Path("install-k3s"), stack).folder / "kubeconfig").touch()
    assert not list(peer_tool.Peer.in_empty_folder(Path("install-k3s"), stack).folder.iterdir())


def test_a_failed_peer_is_reported_with_its_output(stack: Any, tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match=r"exit status 3:\nno such host"):
        a_peer(tmp_path, "echo no such host >&2; exit 3").install(stack)
    with pytest.raises(RehearsalError, match="missing"):
        peer_tool.Peer(tmp_path / "missing", tmp_path).install(stack)


def test_peers_are_programs_by_name() -> None:
    found = peer_tool.parse_peers("k3sup=/opt/k3sup,other=there")
    assert found == {"k3sup": Path("/opt/k3sup"), "other": Path("there").resolve()}
    with pytest.raises(ArgumentTypeError, match="name=path"):
        peer_tool.parse_peers("/opt/k3sup")


def test_the_cluster_of_a_goal_says_which_limits_count() -> None:
    measured = [
        Series("3+5", name, (value,)) for name, value in (("pulumi up", 11), ("by hand", 10), ("x", 11))
    ]
    assert [(goal.text, goal.met) for goal in cold_install.limits("3+5", measured)] == [
        ("3+5: up by hand ≤ 1.05 ×", False),
        ("3+5: up by x ≤ 1 ×", True),
    ]
    assert [goal.text for goal in cold_install.limits("1+20", measured)] == ["1+20: up by x ≤ 1 ×"]


# The mirror


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A folder with a release of a small program."""
    binary, checksums = RELEASE_FILES[platform.machine()]
    folder = tmp_path / "release" / VERSION
    folder.mkdir(parents=True)
    for name, content in (
        (binary, f"program\nrelease={VERSION}\n"),
        (checksums, ""),
        ("install.sh", "true\n"),
    ):
        (folder / name).write_text(content)
    return folder


def test_a_mirrored_release_has_real_size_and_fitting_hashes(released: Path, tmp_path: Path) -> None:
    pins = mirror.make_release(released, tmp_path / "mirrored")
    binary, checksums = RELEASE_FILES[platform.machine()]
    content = (tmp_path / "mirrored" / binary).read_bytes()
    assert len(content) == mirror.RELEASE_MIB << 20
    assert content.startswith(b"program\n") and content.endswith(f"\nrelease={VERSION}\n".encode())
    (pin,) = pins["binarySha256"].values()
    assert (tmp_path / "mirrored" / checksums).read_text() == f"{pin}  {binary}\n"
    assert hashlib.sha256(content).hexdigest() == pin


def test_the_mirror_serves_what_vendors_publish(released: Path, tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    trusting = ssl.create_default_context(cadata=mirror.make_certificates(certificate))
    server = mirror_server.Server(("127.0.0.1", 0), released.parent, certificate)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def get(name: str, path: str, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(name, server.server_port, context=trusting, timeout=10)
        connection.sock = trusting.wrap_socket(
            socket.create_connection(("127.0.0.1", server.server_port), 10), server_hostname=name
        )
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    try:
        release = f"/k3s-io/k3s/releases/download/{VERSION.replace('+', '%2B')}"
        asset = f"{release}/{RELEASE_FILES[platform.machine()][0]}"
        assert get("github.com", asset) == (200, f"program\nrelease={VERSION}\n".encode())
        assert get("github.com", asset, Range="bytes=8-") == (206, f"release={VERSION}\n".encode())
        assert get("raw.githubusercontent.com", f"/k3s-io/k3s/{VERSION}/install.sh") == (200, b"true\n")
        assert get("get.k3s.io", "/") == (200, b"true\n")
        assert get("github.com", f"/k3s-io/k3s/{VERSION}/../{VERSION}/install.sh")[0] == 404
        with pytest.raises(ssl.SSLCertVerificationError):
            get("example.org", "/")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("agents", scale.SIZES)
def test_stacks_of_all_measured_sizes_are_valid(agents: int) -> None:
    assert len(parse(scale.of_size(agents, "192.0.2.1"), {"sshPrivateKey"}).machines) == agents + 1


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--parts", "a,z"])
    assert "no part z; there are a, b, c, d, e, f" in capsys.readouterr().err


ROOT_URN = "urn:pulumi:one::p::pulumi:pulumi:Stack::p-one"
COMPONENT_URN = "urn:pulumi:one::p::k3sgpu:index:K3sCluster::cluster"
PLUGIN_URN = "urn:pulumi:one::p::pulumi:providers:command::default_1_2_1"


def command_urn(name: str) -> str:
    return f"urn:pulumi:one::p::k3sgpu:index:K3sCluster$command:remote:Command::{name}"


def remote_command(name: str, **more: Any) -> dict[str, Any]:
    return {
        "urn": command_urn(name),
        "custom": True,
        "type": "command:remote:Command",
        "parent": COMPONENT_URN,
        "provider": f"{PLUGIN_URN}::1234",
        "inputs": {"create": "true", "__defaults": []},
        **more,
    }


def test_a_flat_state_has_the_same_resources_without_components() -> None:
    resources = [
        {"urn": ROOT_URN, "custom": False, "type": "pulumi:pulumi:Stack"},
        {"urn": COMPONENT_URN, "custom": False, "type": "k3sgpu:index:K3sCluster", "parent": ROOT_URN},
        {"urn": PLUGIN_URN, "custom": True, "type": "pulumi:providers:command", "inputs": {}},
        remote_command("a"),
        remote_command("b", dependencies=[command_urn("a")]),
    ]
    state = flat_program.flat_deployment({"version": 3, "deployment": {"resources": resources}}, "flat")
    root, _, a, b = state["deployment"]["resources"]
    flat = "urn:pulumi:flat::p::command:remote:Command::"
    assert root["urn"] == "urn:pulumi:flat::p::pulumi:pulumi:Stack::p-flat"
    assert (a["urn"], a["parent"]) == (f"{flat}a", root["urn"])
    assert a["provider"] == "urn:pulumi:flat::p::pulumi:providers:command::default_1_2_1::1234"
    assert [(one["name"], one["after"]) for one in flat_program.registered(state)] == [
        ("a", []),
        ("b", [f"{flat}a"]),
    ]
    assert b["dependencies"] == [f"{flat}a"] and "k3sgpu" not in json.dumps(state)


def test_inputs_of_a_state_become_arguments() -> None:
    secret = {flat_program.SIGNATURE: "1b47061264138c4ac30d75fd1eb44270"}
    key = {**secret, "plaintext": json.dumps("the key")}
    inputs = {
        "disableCRDHooks": True,
        "connection": {**secret, "plaintext": json.dumps({"host": "10.0.0.1", "privateKey": key})},
    }
    one = {"type": "command:remote:Command", "inputs": inputs}
    assert flat_program.arguments(one, lambda plain: ("secret", plain)) == {
        "disable_crd_hooks": True,
        "connection": ("secret", {"host": "10.0.0.1", "privateKey": "the key"}),
    }


def test_bytes_of_a_state_are_counted_by_field() -> None:
    resources = [{"urn": "u", "inputs": {"create": "true"}, "outputs": {"create": "true", "stdin": ""}}]
    found = scale.bytes_by_field(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    assert found == {"create, update, delete": 32, "stdin": 11, "urn": 10, "the rest": 0}


@pytest.mark.parametrize("nodes", plan_benchmark.SIZES)
def test_stacks_of_all_planned_sizes_are_valid(nodes: int) -> None:
    assert len(parse(plan_benchmark.config(nodes), set()).nodes) == nodes
