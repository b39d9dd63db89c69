"""label-nodes.sh with a kubectl that records what it is asked to change."""

import shlex
import subprocess
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from tests.unit.hosts.shells import SHELLS

KUBECTL = """\
#!/bin/sh
case "$*" in
*"get nodes"*) cat {folder}/nodes ;;
*) printf '%s\\n' "$*" | sed 's/^kubectl --request-timeout=15s //' >>{folder}/changes ;;
esac
"""


KEY = "ssh-ed25519 AAAA"


def run(folder: Path, nodes: str, wanted: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Runs label-nodes.sh in every shell. Returns how it ended, and the changes that it asked for."""
    k3s = folder / "k3s"
    k3s.write_text(KUBECTL.format(folder=folder))
    k3s.chmod(0o755)
    (folder / "nodes").write_text(nodes)
    wanted = "\n".join(f"{line}|{KEY}" for line in wanted.splitlines())
    script = scripts.render("label-nodes", HOST="server-1", GENERATION=0, WANTED=wanted).replace(
        "/usr/local/bin/k3s", str(k3s)
    )
    record = folder / "changes"
    ends = []
    for shell in SHELLS:
        record.unlink(missing_ok=True)
        done = subprocess.run([*shell.split(), "-c", script], capture_output=True, text=True, timeout=60)
        changes = record.read_text().splitlines() if record.exists() else []
        ends.append((done.returncode, done.stdout, done.stderr, changes))
    assert all(end == ends[0] for end in ends)
    return done, changes


def patch(labels: str, annotations: str) -> str:
    metadata = f'"labels":{{{labels}}},"annotations":{{{annotations}}}'
    return f'patch node gpu-1 --type merge --patch {{"metadata":{{{metadata}}}}}'


TAINTS = "team=red:NoSchedule,theirs=1:NoExecute,"
NODES = f'gpu-1|zone=a|team=red:NoSchedule|{KEY}|{TAINTS}|{{"theirs":"1","zone":"a"}}\n'


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("gpu-1|zone=a|team=red:NoSchedule", []),
        (
            "gpu-1|zone=b|team=red:NoSchedule",
            [patch('"zone":"b"', '"k3s-gpu-sharing/labels":"zone=b"')],
        ),
        (
            "gpu-1|rack=7,zone=a|spot=:NoSchedule",
            [
                "taint node gpu-1 --overwrite spot=:NoSchedule team:NoSchedule-",
                patch(
                    '"rack":"7"',
                    '"k3s-gpu-sharing/labels":"rack=7,zone=a","k3s-gpu-sharing/taints":"spot=:NoSchedule"',
                ),
            ],
        ),
        (
            "gpu-1||team=blue:NoSchedule",
            [
                "taint node gpu-1 --overwrite team=blue:NoSchedule",
                patch(
                    '"zone":null',
                    '"k3s-gpu-sharing/labels":null,"k3s-gpu-sharing/taints":"team=blue:NoSchedule"',
                ),
            ],
        ),
    ],
    ids=["nothing", "a value", "added and removed", "a taint's value"],
)
def test_only_differences_are_changed(tmp_path: Path, wanted: str, expected: list[str]):
    done, changes = run(tmp_path, NODES, wanted)
    assert (done.returncode, changes) == (0, expected), done.stderr


def test_label_that_somebody_removed_is_set_again(tmp_path: Path):
    _, changes = run(tmp_path, "gpu-1|zone=a||ssh-ed25519 AAAA||{}\n", "gpu-1|zone=a|")
    assert changes == [patch('"zone":"a"', "")]


def test_labels_and_taints_of_others_stay(tmp_path: Path):
    """Without the annotation they are all of others."""
    done, changes = run(tmp_path, 'gpu-1|||ssh-ed25519 AAAA|team=red:NoSchedule,|{"zone":"a"}\n', "gpu-1||")
    assert (done.returncode, changes) == (0, [])


def test_host_key_of_the_machine_is_recorded(tmp_path: Path):
    _, changes = run(tmp_path, "gpu-1||||||{}\n", "gpu-1||")
    assert changes == [patch("", f'"k3s-gpu-sharing/host-key":"{KEY}"')]


def test_missing_node_is_named(tmp_path: Path):
    done, changes = run(tmp_path, NODES, "gpu-1|zone=a|team=red:NoSchedule\ngpu-2|zone=a|")
    assert done.returncode == 1 and changes == []
    assert "gpu-2: no such node" in done.stderr and "remedy: " in done.stderr


def test_api_server_that_does_not_answer_is_reported(tmp_path: Path):
    script = scripts.render("label-nodes", HOST="server-1", GENERATION=0, WANTED="gpu-1||").replace(
        "/usr/local/bin/k3s", "false"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "systemctl status k3s" in done.stderr
    assert shlex.quote("gpu-1||") in script
