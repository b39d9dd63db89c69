"""`new`: from addresses to a stack file, against SSH servers that answer with captured facts."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k3sgpu.cli.main import main
from k3sgpu.settings import read_stack_file, resolve_ssh
from k3sgpu.settings.files import release_pins
from k3sgpu.settings.files.release_pins import ReadError
from tests.unit.discovery.lab import SUDO, Lab, lab_machine, running_lab
from tests.unit.hosts.sshd import public_line

MIRROR = ("--mirror", "file:///opt/standin/release")
ACCEPT = ("--accept-host-keys", *MIRROR)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with running_lab(monkeypatch, tmp_path) as one:
        yield one


def test_the_articles_two_machines_become_a_stack_file(lab: Lab, tmp_path: Path, capsys) -> None:
    head, gpu = lab_machine("10.0.37.144", "head"), lab_machine("10.0.37.145", "gpu-1", gpu=True)
    lab.add(head, gpu)
    assert main(["new", "lab", "10.0.37.145", "10.0.37.144", *ACCEPT]) == 0
    settings = read_stack_file(tmp_path / "Pulumi.lab.yaml")
    assert [(node.name, node.role, node.address) for node in settings.nodes] == [
        ("gpu-1", "agent", "10.0.37.145"),
        ("head", "server", "10.0.37.144"),
    ]
    assert settings.nodes[0].gpu and settings.nodes[0].gpu.memory_mib == 11264
    assert resolve_ssh(settings, tmp_path)["head"].host_key == public_line(head.host_key)
    told = capsys.readouterr()
    assert "0 of 6 slices taken" in told.out
    assert "pulumi stack init lab\n  pulumi preview --stack lab\n  pulumi up --stack lab" in told.out
    assert "SHA256:" in told.err and "2 of 2: " in told.err


def test_a_single_machine_is_server_and_gpu_node(lab: Lab, tmp_path: Path) -> None:
    lab.add(lab_machine("10.0.0.31", "box", gpu=True))
    assert main(["new", "one", "10.0.0.31", *ACCEPT]) == 0
    (node,) = read_stack_file(tmp_path / "Pulumi.one.yaml").nodes
    assert (node.role, node.pool) == ("server", "server-rtx-2080-ti")


def test_without_a_terminal_the_missing_option_is_named(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.add(lab_machine("10.0.0.31", "box"))
    assert main(["new", "lab", "10.0.0.31", *MIRROR]) == 2
    told = capsys.readouterr().err
    assert "10.0.0.31  ed25519  SHA256:" in told and "--accept-host-keys, or --known-hosts FILE" in told
    assert list(tmp_path.glob("Pulumi*")) == []


def test_sudo_gets_its_password_from_a_file(lab: Lab, tmp_path: Path, capsys) -> None:
    asks: dict[str, Any] = {"privileges": "none", "sudo_said": "sudo: a password is required"}
    lab.add(lab_machine("10.0.0.31", "box", gpu=True, **asks))
    (tmp_path / "password").write_text(f"{SUDO}\n")
    arguments = ["new", "lab", "ops@10.0.0.31", *ACCEPT]
    assert main(arguments) == 2
    assert "--sudo-password-file FILE" in capsys.readouterr().err
    (tmp_path / "wrong").write_text("wrong")
    assert main([*arguments, "--sudo-password-file", "wrong"]) == 1
    assert "remedy:   run this command again with sudo's password" in capsys.readouterr().out
    assert main([*arguments, "--sudo-password-file", "password"]) == 0
    told = capsys.readouterr()
    assert "pulumi config set --secret sudoPassword --stack lab" in told.out
    assert SUDO not in told.out + told.err + (tmp_path / "Pulumi.lab.yaml").read_text()


def test_unreachable_and_changed_machines_are_listed_at_once(lab: Lab, tmp_path: Path, capsys) -> None:
    box, other = lab_machine("10.0.0.31", "box"), lab_machine("10.0.0.32", "other")
    lab.add(box, other)
    (tmp_path / ".ssh/known_hosts").write_text(
        f"10.0.0.31 {public_line(box.host_key)}\n10.0.0.32 {public_line(box.host_key)}\n"
    )
    arguments = ["new", "lab", "10.0.0.31", "10.0.0.32", "10.0.0.33", *MIRROR]
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert "10.0.0.32\n  error: host-key" in told and "ssh-keygen -R '10.0.0.32'" in told
    assert "10.0.0.33\n  error: connection" in told
    assert list(tmp_path.glob("Pulumi*")) == []
    assert main([*arguments, "--partial"]) == 1
    assert [node.name for node in read_stack_file(tmp_path / "Pulumi.lab.yaml").nodes] == ["box"]


def test_a_name_that_leads_nowhere_is_a_problem(lab: Lab, capsys) -> None:
    assert main(["new", "lab", "no-such-host.invalid", *ACCEPT]) == 1
    told = capsys.readouterr().out
    assert (
        "no-such-host.invalid\n  error: connection" in told and "names of ~/.ssh/config are not read" in told
    )


def test_addresses_that_no_host_may_have_are_refused(lab: Lab, capsys) -> None:
    assert main(["new", "lab", "127.0.0.1", "root@localhost", *ACCEPT]) == 2
    told = capsys.readouterr().err
    assert "2 errors" in told and "localhost, which is 127.0.0.1" in told
    assert "write the address that the other machines use" in told


def test_wrong_options_are_refused_before_machines_are_asked(lab: Lab, capsys) -> None:
    wrong = (
        "--waive",
        "swap,systemd,owner",
        "--install-script-sha256",
        "abc",
        "--mirror",
        "http://u:p@m.example",
    )
    assert main(["new", "lab", "10.0.0.31", *wrong]) == 2
    told = capsys.readouterr().err
    for path in ("doctor.waive[1]", "doctor.waive[2]", "k3s.installScriptSha256", "k3s.mirror"):
        assert path in told
    assert "asking" not in told and "u:p" not in told


def test_doctors_errors_keep_the_file_from_being_written(lab: Lab, tmp_path: Path, capsys) -> None:
    k3s: dict[str, Any] = {"k3s_binary": "/usr/local/bin/k3s", "k3s_version": "v1.33.1+k3s1"}
    twins = [
        lab_machine(f"10.0.0.3{n}", "twin", machine_id="same", **(k3s if n == 1 else {})) for n in (1, 2)
    ]
    lab.add(*twins)
    assert main(["new", "lab", "10.0.0.31", "10.0.0.32", *ACCEPT]) == 1
    told = capsys.readouterr().out
    assert "k3s v1.33.1+k3s1 that this program did not install" in told
    assert "machine-id same, the same as twin-2" in told
    assert "python -m k3sgpu adopt" in told
    assert "Pulumi.lab.yaml is not written" in told
    assert list(tmp_path.glob("*Pulumi*")) == []


def test_an_existing_file_stays(lab: Lab, tmp_path: Path, capsys) -> None:
    (tmp_path / "Pulumi.lab.yaml").write_text("mine")
    assert main(["new", "lab", "10.0.0.31", *ACCEPT]) == 2
    assert "Pulumi.lab.yaml exists" in capsys.readouterr().err
    assert (tmp_path / "Pulumi.lab.yaml").read_text() == "mine"


def test_an_even_number_of_servers_is_refused(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.add(lab_machine("10.0.0.31", "a"), lab_machine("10.0.0.32", "b"))
    (tmp_path / "hosts.ini").write_text("[server]\n10.0.0.31\n10.0.0.32\n")
    assert main(["new", "lab", "--from", "hosts.ini", *ACCEPT]) == 2
    assert "2 servers: 10.0.0.31, 10.0.0.32; expected one, three or five" in capsys.readouterr().err
    assert main(["new", "lab", "10.0.0.33", "10.0.0.31", "--server", "10.0.0.33", *ACCEPT]) == 1
    assert "10.0.0.33\n  error: connection" in capsys.readouterr().out
    assert main(["new", "lab", "10.0.0.33", "10.0.0.31", "--server", "10.0.0.33", "--partial", *ACCEPT]) == 2
    assert "0 servers; expected one, three or five that answer" in capsys.readouterr().err


def test_three_machines_without_a_gpu_leave_a_question(lab: Lab, tmp_path: Path, capsys) -> None:
    addresses = [f"10.0.0.3{n}" for n in (1, 2, 3)]
    lab.add(*(lab_machine(address, f"cpu-{address[-1]}") for address in addresses))
    assert main(["new", "lab", *addresses, *ACCEPT]) == 2
    assert "pass --servers 1 or --servers 3" in capsys.readouterr().err
    assert main(["new", "lab", *addresses, "--servers", "3", *ACCEPT]) == 0
    settings = read_stack_file(tmp_path / "Pulumi.lab.yaml")
    assert [node.role for node in settings.nodes] == ["server"] * 3
    assert not settings.gpu_operator.enabled


def test_hashes_of_the_release_are_read_or_asked_for(lab: Lab, tmp_path: Path, capsys, monkeypatch) -> None:
    def offline(url: str) -> bytes:
        raise ReadError(f"{url}: no route")

    lab.add(lab_machine("10.0.0.31", "box"))
    arguments = ["new", "lab", "10.0.0.31", "--accept-host-keys"]
    monkeypatch.setattr(release_pins, "read", offline)
    assert main([*arguments, "--partial"]) == 1
    told = capsys.readouterr().out
    assert "k3s.installScriptSha256" in told and "make pins VERSION=v1.36.2+k3s1" in told
    assert list(tmp_path.glob("*Pulumi*")) == []
    assert main([*arguments, "--install-script-sha256", "b" * 64]) == 0
    assert read_stack_file(tmp_path / "Pulumi.lab.yaml").k3s.install_script_sha256 == "b" * 64
    files = {"txt": f"{'c' * 64}  k3s\n{'d' * 64}  k3s-arm64\n".encode(), "sh": b"#!/bin/sh\n"}
    monkeypatch.setattr(release_pins, "read", lambda url: files[url.rpartition(".")[2]])
    assert main(["new", "two", *arguments[2:]]) == 0
    k3s = read_stack_file(tmp_path / "Pulumi.two.yaml").k3s
    assert k3s.binary_sha256 == {"amd64": "c" * 64, "arm64": "d" * 64} and k3s.install_script_sha256


def test_cards_without_a_driver_need_a_word(lab: Lab, tmp_path: Path, capsys) -> None:
    bare: dict[str, Any] = {
        "nvidia_module": None,
        "nvidia_smi_status": None,
        "nvidia_smi": None,
        "toolkit": None,
    }
    lab.add(
        lab_machine(
            "10.0.0.31", "box", gpu=True, os_id="ubuntu", os_version="24.04", pci_gpu="a 0xffff", **bare
        )
    )
    assert main(["new", "lab", "10.0.0.31", *ACCEPT]) == 1
    assert "1 NVIDIA card (0xffff on the PCI bus), and no driver" in capsys.readouterr().out
    assert main(["new", "lab", "10.0.0.31", "--gpu", "NVIDIA GeForce RTX 2080 Ti:11264", *ACCEPT]) == 0
    (node,) = read_stack_file(tmp_path / "Pulumi.lab.yaml").nodes
    assert node.gpu and node.gpu.product == "NVIDIA-GeForce-RTX-2080-Ti"


def lab_with_stack(lab: Lab, tmp_path: Path) -> str:
    """A stack file with a server and a card, changed by its user; returns its text."""
    lab.add(lab_machine("10.0.0.11", "head"), lab_machine("10.0.0.21", "gpu-1", gpu=True))
    assert main(["new", "lab", "10.0.0.11", "10.0.0.21", *ACCEPT]) == 0
    file = tmp_path / "Pulumi.lab.yaml"
    file.write_text(file.read_text().replace("replicas: 6", "replicas: 8 # ours"))
    return file.read_text()


def test_add_keeps_the_users_text(lab: Lab, tmp_path: Path, capsys) -> None:
    before = lab_with_stack(lab, tmp_path)
    t4 = {"nvidia_smi": "Tesla T4, 15360 MiB", "pci_gpu": "0000:01:00.0 0x1eb8"}
    lab.add(
        lab_machine("10.0.0.22", "gpu-2", gpu=True),
        lab_machine("10.0.0.23", "t4-1", gpu=True, port=2222, **t4),
        lab_machine("10.0.0.24", "cpu-1"),
    )
    new = ["10.0.0.22", "ubuntu@10.0.0.23:2222", "10.0.0.24"]
    assert main(["new", "lab", *new, "--add", "--accept-host-keys"]) == 0
    file = tmp_path / "Pulumi.lab.yaml"
    changes = difflib.ndiff(before.splitlines(), file.read_text().splitlines())
    assert not [line for line in changes if line.startswith("-")]
    settings = read_stack_file(file)
    assert {node.name: (node.pool, node.user, node.port) for node in settings.nodes} == {
        "cpu-1": ("cpu", "root", 22),
        "gpu-1": ("rtx-2080-ti", "root", 22),
        "gpu-2": ("rtx-2080-ti", "root", 22),
        "head": ("control", "root", 22),
        "t4-1": ("t4", "ubuntu", 2222),
    }
    assert len(resolve_ssh(settings, tmp_path)) == 5
    told = capsys.readouterr().out
    assert "0 of 24 slices taken" in told and "stack init" not in told.split("hosts added")[1]


def test_add_refuses_names_and_addresses_that_are_there(lab: Lab, tmp_path: Path, capsys) -> None:
    before = lab_with_stack(lab, tmp_path)
    lab.add(lab_machine("10.0.0.31", "gpu-1", gpu=True))
    assert main(["new", "lab", "10.0.0.21", "--add", "--accept-host-keys"]) == 2
    assert "the address of pools.rtx-2080-ti.hosts.gpu-1" in capsys.readouterr().err
    assert main(["new", "lab", "10.0.0.31", "--add", "--accept-host-keys"]) == 1
    assert "its name would be gpu-1, as pools.rtx-2080-ti.hosts.gpu-1 has it" in capsys.readouterr().out
    assert main(["new", "lab", "10.0.0.31", "--add", "--driver", "host"]) == 2
    assert "--driver has no effect with --add" in capsys.readouterr().err
    assert (tmp_path / "Pulumi.lab.yaml").read_text() == before
    assert main(["new", "other", "10.0.0.31", "--add"]) == 2
