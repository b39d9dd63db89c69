"""The inventory: built from a stack file, and checked when it comes as JSON."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from k3sgpu import settings
from k3sgpu.handoff.inventory import Inventory, build_inventory, inventory_json, parse_inventory
from k3sgpu.problem import InputError
from tests.data.inventories import host_entry, inventory_of
from tests.data.stack_files import REMOVE, with_

KEY = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC_KEY = " ".join(KEY.export_public_key().decode().split()[:2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key").write_bytes(KEY.export_private_key())
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "known_hosts").write_text(f"10.0.0.11 {PUBLIC_KEY}\n")
    return tmp_path


def build(folder: Path, **changes: Any) -> Inventory:
    host = {"address": "10.0.0.21", "port": 2222, "user": "me", "hostKey": PUBLIC_KEY}
    stack_file = {
        "ssh": {"privateKeyFile": "key", "knownHostsFile": "known_hosts"},
        "pools/control/hosts": {"server-1": "10.0.0.11"},
        "pools/rtx/hosts": {"gpu-1": host},
        **changes,
    }
    parsed = settings.parse(with_(stack_file))
    return build_inventory(parsed, settings.resolve_ssh(parsed, folder), "k3s-gpu-sharing", "dev")


def test_inventory_holds_the_hosts_of_the_stack_file(folder):
    inventory = build(folder)
    assert parse_inventory(json.loads(json.dumps(inventory))) == inventory
    assert parse_inventory(json.loads(inventory_json(inventory))) == inventory
    gpu, server = inventory["hosts"]
    assert inventory["owner"] == {"project": "k3s-gpu-sharing", "stack": "dev"}
    assert (inventory["k3sVersion"], inventory["driver"], inventory["toolkit"]) == (
        "v1.36.2+k3s1",
        "host",
        "host",
    )
    assert (gpu["name"], gpu["port"], gpu["user"], gpu["role"]) == ("gpu-1", 2222, "me", "agent")
    assert gpu["gpu"] == {"count": 1, "product": "NVIDIA-H200"} and server["gpu"] is None
    assert (gpu["knownHostsFile"], server["knownHostsFile"]) == (None, "known_hosts")
    assert gpu["hostKey"].split()[:2] == server["hostKey"].split()[:2] == PUBLIC_KEY.split()
    assert inventory["networks"] == {"clusterCidr": "10.42.0.0/16", "serviceCidr": "10.43.0.0/16"}
    assert (gpu.get("jump"), inventory["bastion"], inventory["agent"]) == (None, None, False)
    assert gpu["nodeIp"] == "10.0.0.21"
    assert not gpu.get("sudoPassword")  # the stack has none
    assert (inventory["registration"], inventory["flannel"]) == ("10.0.0.11", "vxlan")
    assert not inventory["embeddedRegistry"]
    assert KEY.export_private_key().decode().splitlines()[1] not in json.dumps(inventory)


def test_text_of_an_inventory_has_shared_values_once():
    hosts = [host_entry(f"node-{n}", address=f"10.0.0.{n}", hostKey=f"key {n}") for n in range(9)]
    text = inventory_json(inventory_of(*hosts[:8], {**hosts[8], "waive": ["swap"], "maintenance": True}))
    data = json.loads(text)
    assert data["hosts"][0] == {
        "name": "node-0",
        "address": "10.0.0.0",
        "nodeIp": "10.0.0.0",
        "hostKey": "key 0",
    }
    assert data["hosts"][8]["waive"] == ["swap"] and data["hosts"][8]["maintenance"]
    assert [host["waive"] for host in parse_inventory(data)["hosts"]] == [*[[]] * 8, ["swap"]]


def test_inventory_holds_the_urls_of_an_installation(folder):
    changes = {"k3s/mirror": REMOVE, "k3s/installScriptSha256": "0" * 64}
    assert build(folder, **changes)["downloads"] == [
        "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s",
        "https://raw.githubusercontent.com/k3s-io/k3s/v1.36.2+k3s1/install.sh",
    ]


@pytest.mark.parametrize(
    ("endpoint", "external"),
    [
        ("postgres://db.example.org:5432/k3s", True),
        ("sqlite:///var/lib/rancher/k3s/server/db/state.db", False),
    ],
)
def test_database_outside_of_the_cluster_is_in_the_inventory(folder, endpoint, external):
    inventory = build(folder, **{"k3s/config": {"datastore-endpoint": endpoint}})
    assert inventory.get("externalDatabase") == external


def test_local_mirror_needs_no_downloads(folder):
    assert build(folder, **{"k3s/mirror": "file:///srv/k3s"})["downloads"] == []


def test_declared_driver_version_is_in_the_inventory(folder):
    gpu = build(folder, **{"pools/rtx/gpu/driverVersion": "580"})["hosts"][0]["gpu"]
    assert gpu and gpu.get("driver") == "580"


def test_requests_of_guaranteed_pods_are_in_the_inventory(folder):
    teams = {"a": {"guaranteed": {"rtx": 3}}, "b": {"guaranteed": {"rtx": 1}, "limit": {"rtx": 6}}}
    agent = build(folder, teams=teams, workloads={})["hosts"][0]
    assert agent["gpu"] and agent["gpu"].get("guaranteed") == {
        "slices": 4,
        "cpuMillis": 800,
        "memoryMiB": 4096,
    }


def test_host_under_maintenance_declares_no_cards_and_says_so(folder):
    host = build(folder, **{"pools/rtx/maintenance": True})["hosts"][0]
    assert (host["gpu"], host.get("maintenance")) == (None, True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], r"^the inventory: found \[\]; expected a valid dictionary$"),
        ({}, "^the inventory: owner: found nothing$"),
        (inventory_of(), "the inventory names no host"),
        (
            inventory_of(host_entry(port="22")),
            r"^the inventory: hosts\.0\.port: found '22'; expected a valid int",
        ),
        (inventory_of(host_entry(), host_entry(gpu={"count": 1})), r"hosts\.1\.gpu\.product: found nothing"),
        (inventory_of(host_entry(), more=1), "^the inventory: more: unknown key$"),
        (inventory_of(host_entry(), hostDefaults=[]), "^the inventory: hostDefaults: unknown key$"),
        (inventory_of(host_entry(), hostDefaults={"x": 1}), r"^the inventory: hosts\.0\.x: unknown key$"),
        (
            {**inventory_of(host_entry(), hostDefaults={}), "hosts": [1]},
            r"^the inventory: hosts\.0: found 1; expected a valid dict",
        ),
        (
            inventory_of(host_entry(jump="me@10.0.0.1:22")),
            "host node-1 is behind a bastion, and",
        ),
    ],
)
def test_wrong_inventory_is_refused_with_one_line_that_names_the_place(data, expected):
    with pytest.raises(InputError, match=expected) as refusal:
        parse_inventory(data)
    assert "\n" not in str(refusal.value)


def test_importing_the_handoff_does_not_import_large_libraries():
    modules = "k3sgpu.handoff.inventory, k3sgpu.handoff.expected_state, k3sgpu.handoff.staging"
    large = "{'asyncssh', 'lightkube', 'k3sgpu.settings'}"
    code = f"import sys, {modules}; print(*{large} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
