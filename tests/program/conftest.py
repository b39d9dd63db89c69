"""A stack's files on disk: an SSH key and the host keys of its machines."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tools import mocked_program as g

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key without a passphrase. Its public key is beside it."""
    path = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="session")
def host_key(key_pair: Path) -> str:
    """A host key as known_hosts has it."""
    return key_pair.with_suffix(".pub").read_text().rsplit(" ", 1)[0]


@pytest.fixture
def in_project(tmp_path: Path, key_pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory where the stack files' relative paths lead to a key, known hosts and a chart."""
    rehearsal = tmp_path / ".rehearsal"
    rehearsal.mkdir()
    shutil.copy(key_pair, rehearsal / "id_ed25519")
    (rehearsal / "id_ed25519").chmod(0o600)
    public = key_pair.with_suffix(".pub").read_text().rsplit(" ", 1)[0]
    hosts = [f"10.77.0.{last} {public}\n" for last in range(2, 255)]
    (rehearsal / "known_hosts").write_text("".join(hosts))
    chart = tmp_path / "rehearsal" / "simulators" / "chart"
    chart.mkdir(parents=True)
    (chart / "Chart.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dev(in_project: Path) -> g.Graph:
    """The graph of Pulumi.dev.yaml."""
    return g.run(stack_config("dev"))


def stack_config(stack: str) -> dict:
    """The configuration of Pulumi.<stack>.yaml, keys without the project's name."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("k3s-gpu-sharing:"): value for key, value in config.items()}
