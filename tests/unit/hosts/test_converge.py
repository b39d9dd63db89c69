"""Parts of converge on a machine that is pretended: its files below a folder, its k3s a script."""

import hashlib
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from tests.unit.hosts.shells import SHELLS

# A k3s that knows its version, the nodes, the server's version and the pods; it notes what it was told.
K3S = """\
#!/bin/sh
here={folder}
case "$*" in
--version) echo "k3s version $(cat $here/installed) (pretended)" ;;
*"get nodes"*) cat $here/nodes ;;
*"/version"*) printf '{{\\n  "gitVersion": "%s"\\n}}\\n' "$(cat $here/server)" ;;
*"get pods"*) cat $here/pods ;;
*"get node "*) cat $here/unschedulable ;;
*eviction*)
    cat >/dev/null
    echo "$*" >>$here/told
    cat $here/refusal >&2
    [ -s $here/refusal ] || : >$here/pods
    ;;
*) echo "$*" >>$here/told ;;
esac
"""


@dataclass
class Pretended:
    """A machine below `folder`, whose sh is `shell`."""

    folder: Path
    shell: str

    def says(self, **files: str) -> None:
        """What its k3s answers."""
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def run(self, call: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one function of converge, with the variables a stack file would set."""
        functions = scripts.source("converge").split("\ntake_secrets\n")[0] + "\n"
        for path in (
            "/etc/k3s-gpu-sharing",
            "/etc/rancher",
            "/usr/local/bin/k3s",
            "/usr/local/lib",
            "/var/lib/rancher",
        ):
            functions = functions.replace(f"={path}", f"={self.folder}{path}")
        given = {
            "HOST": "gpu-1",
            "ROLE": "agent",
            "VERSION": "v1.37.1+k3s1",
            "DRAIN_TIMEOUT": "60",
            **variables,
        }
        header = "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items())
        return subprocess.run(
            [*self.shell.split(), "-euc", header + functions + "\n" + call],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def told(self) -> str:
        """What its k3s was told to change."""
        file = self.folder / "told"
        return file.read_text() if file.exists() else ""


@pytest.fixture(params=SHELLS)
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Pretended:
    k3s = tmp_path / "usr/local/bin/k3s"
    k3s.parent.mkdir(parents=True)
    k3s.write_text(K3S.format(folder=tmp_path))
    k3s.chmod(0o755)
    (tmp_path / "etc/k3s-gpu-sharing").mkdir(parents=True)
    pretended = Pretended(tmp_path, request.param)
    pretended.says(
        installed="v1.36.2+k3s1", nodes="", server="v1.37.1+k3s1", pods="", unschedulable="", refusal=""
    )
    return pretended


REFUSED = {
    "a downgrade": (
        {"VERSION": "v1.36.1+k3s1"},
        {},
        ["v1.36.2+k3s1", "cannot go back", "version: v1.36.2+k3s1"],
    ),
    "an older build": ({"VERSION": "v1.36.2+k3s1"}, {"installed": "v1.36.2+k3s2"}, ["cannot go back"]),
    "a skipped minor": ({"VERSION": "v1.38.0+k3s1"}, {}, ["a minor version would be skipped", "v1.37"]),
    "an agent newer than its server": (
        {},
        {"server": "v1.36.2"},
        ["may not be newer", "upgrade the servers first"],
    ),
    "a node left two behind": (
        {"ROLE": "server"},
        {"nodes": "gpu-7 v1.35.9+k3s1\ngpu-8 v1.36.2+k3s1\n"},
        ["gpu-7 (v1.35.9+k3s1)", "bring them to v1.36.2+k3s1 first"],
    ),
}


@pytest.mark.parametrize(("variables", "says", "words"), REFUSED.values(), ids=REFUSED)
def test_what_k3s_cannot_do_is_refused(machine: Pretended, variables: dict, says: dict, words: list[str]):
    machine.says(**says)
    done = machine.run("check_version", **variables)
    assert done.returncode == 1
    for word in ("gpu-1: ", *words, "remedy: "):
        assert word in done.stderr
    assert machine.told == ""


@pytest.mark.parametrize("version", ["v1.36.2+k3s1", "v1.36.2+k3s2", "v1.36.10+k3s1", "v1.37.0+k3s1"])
@pytest.mark.parametrize("role", ["server", "agent"])
def test_what_k3s_can_do_is_not(machine: Pretended, version: str, role: str):
    machine.says(nodes="gpu-1 v1.36.2+k3s1\n")
    done = machine.run("check_version", VERSION=version, ROLE=role)
    assert (done.returncode, done.stderr) == (0, "")


PODS = """\
default/a-1|Running||ReplicaSet
kube-system/plugin|Running||DaemonSet
kube-system/mirror|Running||Node
default/done|Succeeded||Job
"""


def test_pods_are_evicted_and_the_node_is_given_back(machine: Pretended):
    machine.says(pods=PODS)
    done = machine.run("drain; uncordon; [ ! -e $own/cordoned ]")
    assert done.returncode == 0, done.stderr
    lines = [line.split("--request-timeout=15s ")[1] for line in machine.told.splitlines()]
    assert lines == [
        "cordon gpu-1",
        "create --raw /api/v1/namespaces/default/pods/a-1/eviction --filename -",
        "uncordon gpu-1",
    ]


def test_with_the_deadline_the_upgrade_ends_and_names_the_pods(machine: Pretended):
    machine.says(pods=PODS, refusal="Cannot evict pod as it would violate the pod's disruption budget.")
    done = machine.run("drain", DRAIN_TIMEOUT="1")
    assert done.returncode == 1
    assert "still here after 1 s: default/a-1 ; the upgrade did not begin" in done.stderr
    assert "disruption budget" in done.stderr and "k3s.drainTimeoutSeconds" in done.stderr
    assert "uncordon gpu-1" in machine.told and "done" not in machine.told


def test_a_node_that_somebody_else_cordoned_stays_so(machine: Pretended):
    machine.says(pods=PODS, unschedulable="true")
    assert machine.run("drain; uncordon").returncode == 0
    assert "cordon gpu-1" not in machine.told


def test_a_pod_that_nothing_would_make_again_is_not_evicted(machine: Pretended):
    machine.says(pods="default/bare|Running||\n")
    done = machine.run("drain")
    assert done.returncode == 1 and "default/bare" in done.stderr and "delete them" in done.stderr
    assert machine.told == ""


SERVER = {
    "ROLE": "server",
    "DATABASE": "first",
    "SERVERS": "127.0.0.2 127.0.0.3",
    "CONFIG": "cluster-cidr: 10.42.0.0/16\n",
}


@pytest.mark.parametrize(
    ("database", "lines"),
    [
        ("own", ""),
        ("first", "cluster-init: true\n"),
        ("copy", "server: https://127.0.0.2:6443\ntoken-file: {folder}/etc/rancher/k3s/server-token\n"),
    ],
)
def test_how_a_database_begins(machine: Pretended, database: str, lines: str):
    done = machine.run("beginning", **{**SERVER, "DATABASE": database})
    assert (done.returncode, done.stdout) == (0, lines.format(folder=machine.folder)), done.stderr


def test_how_a_database_began_stays_as_it_was(machine: Pretended):
    (machine.folder / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text("tls-san:\n- a\ncluster-init: true\n")
    done = machine.run("beginning", **{**SERVER, "DATABASE": "copy"})
    assert done.stdout == "cluster-init: true\n"


def test_a_second_cluster_is_never_begun_beside_a_living_one(machine: Pretended):
    done = machine.run("answers() { [ $1 = 127.0.0.3 ]; }; beginning", **SERVER)
    assert done.returncode == 1 and done.stdout == ""
    assert "the cluster lives on 127.0.0.3" in done.stderr and "k3s.initialServer" in done.stderr


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ("cluster-cidr: 10.42.0.0/16\ntls-san:\n- b\n", False),
        ("cluster-cidr: 10.52.0.0/16\n", True),
        ("cluster-cidr:\n- 10.42.0.0/16\n- fd00::/48\n", True),
        ("tls-san:\n- a\n", False),  # k3s's own choice
        ("flannel-backend: host-gw\ncluster-cidr: 10.42.0.0/16\n", True),
    ],
)
def test_what_a_cluster_began_with_cannot_change(machine: Pretended, config: str, refused: bool):
    (machine.folder / "var/lib/rancher/k3s/server/db").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text("cluster-cidr: 10.42.0.0/16\ntls-san:\n- a\n")
    done = machine.run("check_database", **{**SERVER, "CONFIG": config})
    assert done.returncode == int(refused)
    if refused:
        assert " cannot change once a cluster has begun" in done.stderr
        assert "take the change back" in done.stderr


def test_a_server_restarts_only_while_the_others_are_there(machine: Pretended):
    (machine.folder / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    machine.says(nodes="gpu-1 True\nserver-2 True\nserver-3 Unknown\n")
    done = machine.run("check_majority", **SERVER)
    assert done.returncode == 1 and "not Ready: server-3" in done.stderr
    machine.says(nodes="gpu-1 False\nserver-2 True\nserver-3 True\n")
    assert machine.run("check_majority", **SERVER).returncode == 0


def test_a_release_that_is_missing_and_a_disk_that_is_full_are_told_apart(machine: Pretended):
    missing = machine.run("fetch file:///not/there/k3s /dev/null")
    assert missing.returncode == 1 and "gpu-1: no file /not/there/k3s" in missing.stderr
    assert "change k3s.mirror" in missing.stderr
    full = machine.run(f"fetch file://{machine.folder}/installed /dev/full")
    assert full.returncode == 1 and "gpu-1: could not write /dev/full" in full.stderr
    assert "is the disk full or read-only? see df -h, df -i and mount" in full.stderr


def test_from_several_servers_to_one_is_refused(machine: Pretended):
    (machine.folder / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    machine.says(nodes="gpu-1\nserver-2\nserver-3\n")
    done = machine.run("check_database", **{**SERVER, "DATABASE": "own"})
    assert done.returncode == 1 and "also server-2 server-3 as servers" in done.stderr
    assert "put them back" in done.stderr and "docs/guides/operations.md" in done.stderr
    machine.says(nodes="gpu-1\n")
    assert machine.run("check_database", **{**SERVER, "DATABASE": "own"}).returncode == 0


def test_secrets_come_as_they_were_sent(machine: Pretended):
    sent = {"AGENT_TOKEN": "K10aa::node:it's =\\n $x", "SERVER_TOKEN": "two\nlines ü"}
    done = machine.run(
        'take_secrets; printf \'%s|%s\' "$agent_token" "$server_token"', scripts.secret_lines(**sent)
    )
    assert (done.returncode, done.stdout) == (0, "|".join(sent.values())), done.stderr


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        ("K10hidden::node:hidden\n", "not NAME=<base64>"),
        ("hidden=aGlkZGVu\n", "not NAME=<base64>"),
        ("\n", "not NAME=<base64>"),
        ("AGENT_TOKEN=hidden!\n", "no base64 for AGENT_TOKEN"),
        ("HIDDEN_KEY=aGlkZGVu\n", "unknown name HIDDEN_KEY"),
        ("AGENT_TOKEN=aGlkZGVu", "ends within a line"),
    ],
)
def test_what_is_no_secret_of_this_script_is_refused_unseen(machine: Pretended, stdin: str, words: str):
    done = machine.run("take_secrets", stdin)
    assert done.returncode == 1 and words in done.stderr and "remedy: run up again" in done.stderr
    assert "hidden" not in done.stderr and "aGlkZGVu" not in done.stderr


OURS = "# From the stack file, by k3s-gpu-sharing.\n"


def test_a_file_of_ours_is_written_and_goes_and_one_of_others_stays(machine: Pretended):
    file = machine.folder / "registries.yaml"
    text = shlex.quote(f"{OURS}mirrors: {{}}")
    assert machine.run(f"place {file} {text} k3s.registries").returncode == 0
    assert file.read_text() == f"{OURS}mirrors: {{}}\n" and file.stat().st_mode & 0o777 == 0o600
    assert machine.run(f"place {file} '' k3s.registries").returncode == 0 and not file.exists()

    file.write_text("by hand\n")
    assert machine.run(f"place {file} '' k3s.registries").returncode == 0
    refused = machine.run(f"place {file} {text} k3s.registries")
    assert refused.returncode == 1 and "was not written by this program" in refused.stderr
    assert "k3s.registries" in refused.stderr and file.read_text() == "by hand\n"


def test_encryption_that_ends_or_begins_later_is_refused_with_what_to_run(machine: Pretended):
    (machine.folder / "var/lib/rancher/k3s/server/db").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text("secrets-encryption: true\n")
    done = machine.run("check_database", **{**SERVER, "CONFIG": "secrets-encryption: false\n"})
    assert done.returncode == 1 and "k3s secrets-encrypt disable" in done.stderr


@pytest.mark.parametrize("loader", ["curl", "wget"])
def test_a_download_goes_through_the_proxy_whose_password_no_process_shows(machine: Pretended, loader: str):
    tools = machine.folder / "bin"
    tools.mkdir()
    for name, link in ((name, f"/usr/bin/{name}") for name in ("sed", "cat", "sh", "env")):
        (tools / name).symlink_to(link)
    (tools / loader).write_text(
        '#!/bin/sh\necho "$@"; env; [ -z "$WGETRC" ] && cat >&2 || cat "$WGETRC" >&2\n'
    )
    (tools / loader).chmod(0o755)
    done = machine.run(
        f"PATH={tools}; work={machine.folder}; export WGETRC=; fetch https://example.org/k3s $work/x",
        environment="HTTPS_PROXY=http://u:hidden@p:1\nNO_PROXY=10.0.0.0/8",
    )
    assert done.returncode == 0 and "https://example.org/k3s" in done.stdout and "hidden" not in done.stdout
    assert "http://u:hidden@p:1" in done.stderr and "10.0.0.0/8" in done.stderr


@pytest.mark.parametrize(
    ("archive", "listed", "words"),
    [
        ("images", "images", ""),
        ("images", "others", "expected"),
        ("images", None, "does not name k3s-airgap-images-"),
        (None, None, ""),
    ],
    ids=["good", "another", "unlisted", "none"],
)
def test_archives_of_images_come_from_beside_the_release(
    machine: Pretended, archive: str | None, listed: str | None, words: str
):
    release, images = machine.folder / "release/v1", machine.folder / "var/lib/rancher/k3s/agent/images"
    for folder in (release, images, machine.folder / "work"):
        folder.mkdir(parents=True)
    (images / "k3s-airgap-images-amd64.tar.gz").write_text("of the release before")
    (images / "mine.tar").write_text("mine")
    name = "k3s-airgap-images-amd64.tar.zst"
    if archive:
        (release / name).write_text(archive)
    sums = f"{hashlib.sha256(listed.encode()).hexdigest()}  {name}\n" if listed else ""
    (release / "sha256sum-amd64.txt").write_text(sums)
    done = machine.run(
        f"arch=amd64; work={machine.folder}/work; release=$MIRROR/v1; fetch_images; place_images",
        MIRROR=f"file://{machine.folder}/release",
    )
    assert done.returncode == bool(words) and words in done.stderr
    placed = {path.name: path.read_text() for path in images.iterdir()}
    assert placed.pop("mine.tar") == "mine"
    changed = bool(archive) and not words
    assert placed == (
        {name: "images"} if changed else {"k3s-airgap-images-amd64.tar.gz": "of the release before"}
    )
