"""Real cards: what is read of them, and what a machine gets."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from k3sgpu import settings as s
from rehearsal.lab import cards, driver_files, stack
from rehearsal.lab.cards import RealCard
from rehearsal.process import RehearsalError

ROOT = Path(__file__).resolve().parents[3]
LINE = "00000000:0F:00.0, NVIDIA H200, 143771, 580.159.04"


def card(minor: int) -> RealCard:
    return RealCard(f"0000:0{minor}:00.0", "NVIDIA H200", 143771, "580.159", minor)


def test_card_is_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    information = tmp_path / "gpus/0000:0f:00.0/information"
    information.parent.mkdir(parents=True)
    information.write_text("Model: \t\t NVIDIA H200\nDevice Minor: \t 3\n")
    monkeypatch.setattr(cards, "PROC", tmp_path)

    read = cards.parse(LINE)

    assert read == RealCard("0000:0f:00.0", "NVIDIA H200", 143771, "580.159.04", 3)
    assert read.product == "NVIDIA-H200"


def test_driver_goes_to_the_places_of_debian(tmp_path: Path):
    driver, root = tmp_path / "driver", tmp_path / "root"
    libraries = driver / "usr/local/nvidia/lib64"
    for folder in (
        libraries,
        driver / "usr/local/nvidia/bin",
        root / "usr/bin",
        root / driver_files.LIBRARIES,
    ):
        folder.mkdir(parents=True)
    (driver / "usr/local/nvidia/bin/nvidia-smi").write_text("program")
    shutil.copy("/bin/true", libraries / "libcuda.so.580.1")
    (libraries / "libcuda.so.1").symlink_to("libcuda.so.580.1")
    (libraries / "libnvidia-encode.so.580.1").write_text("not for computing")
    (root / "etc").mkdir()

    assert cards.install_driver(driver, root)
    assert cards.install_driver(driver, root)  # a second time changes nothing

    installed = sorted(path.name for path in (root / driver_files.LIBRARIES).iterdir())
    assert installed == ["libcuda.so.1", "libcuda.so.580.1"]
    assert (root / "usr/bin/nvidia-smi").exists()


def test_computer_without_a_driver_has_none_to_install(tmp_path: Path):
    assert not cards.install_driver(tmp_path, tmp_path)


def test_device_is_shown_as_sysfs_has_it(tmp_path: Path):
    device, shown = tmp_path / "device", tmp_path / "shown"
    device.mkdir()
    (device / "vendor").write_text("0x10de\n")
    (device / "config").write_bytes(b"\xde\x10")
    (tmp_path / "drivers/nvidia").mkdir(parents=True)
    (device / "driver").symlink_to("../drivers/nvidia")

    cards.copy_device(device, shown)

    assert (shown / "vendor").read_text() == "0x10de\n"
    assert (shown / "driver").readlink() == Path("../../../bus/pci/drivers/nvidia")


def test_hosts_get_the_computers_cards_in_order():
    settings = s.read_stack_file(ROOT / "Pulumi.dev.yaml")

    shared = stack.share_cards([card(0), card(1)], settings)

    assert {host: [item.minor for item in given.cards] for host, given in shared.items()} == {"gpu-1": [0]}
    node = next(node for node in settings.machines if node.gpu)
    assert stack.machine(node, settings, "real", shared["gpu-1"]).cards == shared["gpu-1"]


def test_too_few_cards_are_refused():
    settings = s.read_stack_file(ROOT / "Pulumi.dev.yaml")
    pools = {
        name: pool.model_copy(update={"gpu": pool.gpu.model_copy(update={"count": 2})}) if pool.gpu else pool
        for name, pool in settings.pools.items()
    }
    with pytest.raises(RehearsalError, match="found 1 NVIDIA cards, expected 2"):
        stack.share_cards([card(0)], dataclasses.replace(settings, pools=pools))
