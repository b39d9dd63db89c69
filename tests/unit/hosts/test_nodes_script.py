"""nodes.sh before a kubectl that tells what it is asked to change."""

import shlex
import subprocess
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from tests.unit.hosts.shells import SHELLS

KUBECTL = """\
#!/bin/sh
case "$*" in
*"get nodes"*) cat {folder}/seen ;;
*) printf '%s\\n' "$*" | sed 's/^kubectl --request-timeout=15s //' >>{folder}/told ;;
esac
"""


KEY = "ssh-ed25519 AAAA"


def run(folder: Path, seen: str, wanted: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """How nodes.sh ended, and what it told kubectl; in every shell the same."""
    k3s = folder / "k3s"
    k3s.write_text(KUBECTL.format(folder=folder))
    k3s.chmod(0o755)
    (folder / "seen").write_text(seen)
    wanted = "\n".join(f"{line}|{KEY}" for line in wanted.splitlines())
    script = scripts.render("cluster", "label-nodes", HOST="server-1", GENERATION=0, WANTED=wanted).replace(
        "/usr/local/bin/k3s", str(k3s)
    )
    told = folder / "told"
    ends = []
    for shell in SHELLS:
        told.unlink(missing_ok=True)
        done = subprocess.run([*shell.split(), "-c", script], capture_output=True, text=True, timeout=60)
        said = told.read_text().splitlines() if told.exists() else []
        ends.append((done.returncode, done.stdout, done.stderr, said))
    assert all(end == ends[0] for end in ends)
    return done, said


def patch(labels: str, annotations: str) -> str:
    metadata = f'"labels":{{{labels}}},"annotations":{{{annotations}}}'
    return f'patch node gpu-1 --type merge --patch {{"metadata":{{{metadata}}}}}'


TAINTS = "team=red:NoSchedule,theirs=1:NoExecute,"
SEEN = f'gpu-1|zone=a|team=red:NoSchedule|{KEY}|{TAINTS}|{{"theirs":"1","zone":"a"}}\n'


@pytest.mark.parametrize(
    ("wanted", "told"),
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
def test_only_what_differs_is_changed(tmp_path: Path, wanted: str, told: list[str]):
    done, said = run(tmp_path, SEEN, wanted)
    assert (done.returncode, said) == (0, told), done.stderr


def test_what_somebody_changed_back_is_set_again(tmp_path: Path):
    _, said = run(tmp_path, "gpu-1|zone=a||ssh-ed25519 AAAA||{}\n", "gpu-1|zone=a|")
    assert said == [patch('"zone":"a"', "")]


def test_of_nobody_knows_whom_nothing_is_taken(tmp_path: Path):
    """Without the annotation all there is belongs to others."""
    done, said = run(tmp_path, 'gpu-1|||ssh-ed25519 AAAA|team=red:NoSchedule,|{"zone":"a"}\n', "gpu-1||")
    assert (done.returncode, said) == (0, [])


def test_the_machines_host_key_is_remembered(tmp_path: Path):
    _, said = run(tmp_path, "gpu-1||||||{}\n", "gpu-1||")
    assert said == [patch("", f'"k3s-gpu-sharing/host-key":"{KEY}"')]


def test_a_node_that_is_missing_is_named(tmp_path: Path):
    done, said = run(tmp_path, SEEN, "gpu-1|zone=a|team=red:NoSchedule\ngpu-2|zone=a|")
    assert done.returncode == 1 and said == []
    assert "gpu-2: no such node" in done.stderr and "remedy: " in done.stderr


def test_an_api_server_that_does_not_answer_is_told(tmp_path: Path):
    script = scripts.render(
        "cluster", "label-nodes", HOST="server-1", GENERATION=0, WANTED="gpu-1||"
    ).replace("/usr/local/bin/k3s", "false")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "systemctl status k3s" in done.stderr
    assert shlex.quote("gpu-1||") in script
