"""Functions of converge.sh on a simulated machine: its files are in a folder, its k3s is a script."""

import hashlib
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from tests.unit.hosts.shells import SHELLS

# A k3s that knows its version, the nodes, the server's version and the pods; it records every change.
K3S = """\
#!/bin/sh
here={folder}
case "$*" in
--version) echo "k3s version $(cat $here/installed) (simulated)" ;;
*"get nodes"*) cat $here/nodes ;;
*"/version"*) printf '{{\\n  "gitVersion": "%s"\\n}}\\n' "$(cat $here/server)" ;;
*"get pods"*) cat $here/pods ;;
*"get node "*) cat $here/unschedulable ;;
*eviction*)
    cat >/dev/null
    echo "$*" >>$here/changes
    cat $here/refusal >&2
    [ -s $here/refusal ] || : >$here/pods
    ;;
*) echo "$*" >>$here/changes ;;
esac
"""


@dataclass
class SimulatedMachine:
    """A machine below `folder`, whose sh is `shell`."""

    folder: Path
    shell: str

    def set(self, **files: str) -> None:
        """Sets what its k3s answers."""
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def run(self, call: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one function of converge, with the variables a stack file would set."""
        functions = scripts.source("converge").split("\nread_secrets\n")[0] + "\n"
        for path in (
            "/run",
            "/etc/k3s-gpu-sharing",
            "/etc/rancher",
            "/usr/local/bin/k3s",
            "/usr/local/lib",
            "/var/lib/rancher",
        ):
            functions = functions.replace(f"={path}", f"={self.folder}{path}")
        values = {
            "HOST": "gpu-1",
            "ROLE": "agent",
            "VERSION": "v1.37.1+k3s1",
            "DRAIN_TIMEOUT": "60",
            "EXTERNAL_DATABASE": "",
            **variables,
        }
        header = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
        return subprocess.run(
            [*self.shell.split(), "-euc", header + functions + "\n" + call],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def changes(self) -> str:
        """What its k3s was asked to change."""
        file = self.folder / "changes"
        return file.read_text() if file.exists() else ""


@pytest.fixture(params=SHELLS)
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> SimulatedMachine:
    k3s = tmp_path / "usr/local/bin/k3s"
    k3s.parent.mkdir(parents=True)
    k3s.write_text(K3S.format(folder=tmp_path))
    k3s.chmod(0o755)
    (tmp_path / "etc/k3s-gpu-sharing").mkdir(parents=True)
    machine = SimulatedMachine(tmp_path, request.param)
    machine.set(
        installed="v1.36.2+k3s1", nodes="", server="v1.37.1+k3s1", pods="", unschedulable="", refusal=""
    )
    return machine


REFUSED = {
    "a downgrade": (
        {"VERSION": "v1.36.1+k3s1"},
        {},
        ["v1.36.2+k3s1", "cannot be downgraded", "version: v1.36.2+k3s1"],
    ),
    "an older build": ({"VERSION": "v1.36.2+k3s1"}, {"installed": "v1.36.2+k3s2"}, ["cannot be downgraded"]),
    "a skipped minor": ({"VERSION": "v1.38.0+k3s1"}, {}, ["a minor version would be skipped", "v1.37"]),
    "an agent newer than its server": (
        {},
        {"server": "v1.36.2"},
        ["may not be newer", "upgrade the servers first"],
    ),
    "a node left two behind": (
        {"ROLE": "server"},
        {"nodes": "gpu-7 v1.35.9+k3s1\ngpu-8 v1.36.2+k3s1\n"},
        ["gpu-7 (v1.35.9+k3s1)", "upgrade them to v1.36.2+k3s1 first"],
    ),
}


@pytest.mark.parametrize(("variables", "answers", "words"), REFUSED.values(), ids=REFUSED)
def test_upgrade_that_k3s_cannot_do_is_refused(
    machine: SimulatedMachine, variables: dict, answers: dict, words: list[str]
):
    machine.set(**answers)
    done = machine.run("check_version", **variables)
    assert done.returncode == 1
    for word in ("gpu-1: ", *words, "remedy: "):
        assert word in done.stderr
    assert machine.changes == ""


@pytest.mark.parametrize("version", ["v1.36.2+k3s1", "v1.36.2+k3s2", "v1.36.10+k3s1", "v1.37.0+k3s1"])
@pytest.mark.parametrize("role", ["server", "agent"])
def test_upgrade_that_k3s_can_do_is_allowed(machine: SimulatedMachine, version: str, role: str):
    machine.set(nodes="gpu-1 v1.36.2+k3s1\n")
    done = machine.run("check_version", VERSION=version, ROLE=role)
    assert (done.returncode, done.stderr) == (0, "")


PODS = """\
default/a-1|Running||ReplicaSet
kube-system/plugin|Running||DaemonSet
kube-system/mirror|Running||Node
default/done|Succeeded||Job
"""


def test_drain_evicts_pods_and_uncordon_follows(machine: SimulatedMachine):
    machine.set(pods=PODS)
    done = machine.run("drain; uncordon; [ ! -e $marker_dir/cordoned ]")
    assert done.returncode == 0, done.stderr
    lines = [line.split("--request-timeout=15s ")[1] for line in machine.changes.splitlines()]
    assert lines == [
        "cordon gpu-1",
        "create --raw /api/v1/namespaces/default/pods/a-1/eviction --filename -",
        "uncordon gpu-1",
    ]


def test_drain_that_exceeds_its_deadline_names_the_pods(machine: SimulatedMachine):
    machine.set(pods=PODS, refusal="Cannot evict pod as it would violate the pod's disruption budget.")
    done = machine.run("drain", DRAIN_TIMEOUT="1")
    assert done.returncode == 1
    assert "still here after 1 s: default/a-1 ; the upgrade did not begin" in done.stderr
    assert "disruption budget" in done.stderr and "k3s.drainTimeoutSeconds" in done.stderr
    assert "uncordon gpu-1" in machine.changes and "done" not in machine.changes


def test_node_cordoned_by_somebody_else_stays_cordoned(machine: SimulatedMachine):
    machine.set(pods=PODS, unschedulable="true")
    assert machine.run("drain; uncordon").returncode == 0
    assert "cordon gpu-1" not in machine.changes


def test_pod_without_a_controller_is_not_evicted(machine: SimulatedMachine):
    machine.set(pods="default/bare|Running||\n")
    done = machine.run("drain")
    assert done.returncode == 1 and "default/bare" in done.stderr and "delete them" in done.stderr
    assert machine.changes == ""


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
def test_database_is_created_by_its_role(machine: SimulatedMachine, database: str, lines: str):
    done = machine.run("database_config", **{**SERVER, "DATABASE": database})
    assert (done.returncode, done.stdout) == (0, lines.format(folder=machine.folder)), done.stderr


@pytest.mark.parametrize(
    ("database", "lines"),
    [("own", ""), ("first", ""), ("copy", "token-file: {folder}/etc/rancher/k3s/server-token\n")],
)
def test_server_of_an_external_database_joins_no_etcd(machine: SimulatedMachine, database: str, lines: str):
    done = machine.run("database_config", **{**SERVER, "EXTERNAL_DATABASE": "yes", "DATABASE": database})
    assert (done.returncode, done.stdout) == (0, lines.format(folder=machine.folder)), done.stderr


ENDPOINT = "datastore-endpoint: postgres://k3s:secret@db/k3s\n"


@pytest.mark.parametrize(
    ("here", "external", "data", "refused"),
    [
        ("", "yes", "db/state.db", "in its own database"),
        (ENDPOINT, "", "token", "in a database outside of it"),
        (ENDPOINT, "yes", "token", ""),
        ("datastore-endpoint: sqlite:///data/k3s.db\n", "", "token", ""),
        ("", "", "db/state.db", ""),
        ("", "yes", "", ""),
    ],
)
def test_kind_of_database_cannot_change(
    machine: SimulatedMachine, here: str, external: str, data: str, refused: str
):
    server = machine.folder / "var/lib/rancher/k3s/server"
    if data:
        (server / data).parent.mkdir(parents=True)
        (server / data).write_text("x")
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text(f"cluster-cidr: 10.42.0.0/16\n{here}")
    done = machine.run("check_database", **{**SERVER, "EXTERNAL_DATABASE": external})
    assert done.returncode == bool(refused) and refused in done.stderr, done.stderr
    assert "secret" not in done.stderr


def test_database_config_stays_once_it_exists(machine: SimulatedMachine):
    (machine.folder / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text("tls-san:\n- a\ncluster-init: true\n")
    done = machine.run("database_config", **{**SERVER, "DATABASE": "copy"})
    assert done.stdout == "cluster-init: true\n"


def test_second_cluster_is_never_created_beside_a_running_one(machine: SimulatedMachine):
    done = machine.run("server_answers() { [ $1 = 127.0.0.3 ]; }; database_config", **SERVER)
    assert done.returncode == 1 and done.stdout == ""
    assert "the cluster runs on 127.0.0.3" in done.stderr and "k3s.initialServer" in done.stderr


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ("cluster-cidr: 10.42.0.0/16\ntls-san:\n- b\n", False),
        ("cluster-cidr: 10.52.0.0/16\n", True),
        ("cluster-cidr:\n- 10.42.0.0/16\n- fd00::/48\n", True),
        ("tls-san:\n- a\n", False),  # k3s's default
        ("flannel-backend: host-gw\ncluster-cidr: 10.42.0.0/16\n", True),
    ],
)
def test_setting_fixed_with_the_database_cannot_change(machine: SimulatedMachine, config: str, refused: bool):
    (machine.folder / "var/lib/rancher/k3s/server/db").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text("cluster-cidr: 10.42.0.0/16\ntls-san:\n- a\n")
    done = machine.run("check_database", **{**SERVER, "CONFIG": config})
    assert done.returncode == int(refused)
    if refused:
        assert " cannot change once a cluster exists" in done.stderr
        assert "take the change back" in done.stderr


def test_data_folders_are_recorded_with_what_was_there_before(machine: SimulatedMachine):
    config = f"kubelet-arg:\n- max-pods=200\n- root-dir={machine.folder}/disk/kubelet\n"
    data, disk = machine.folder / "var/lib/rancher/k3s", machine.folder / "disk"
    (disk / "data" / "theirs").mkdir(parents=True)
    data.parent.mkdir(parents=True)
    data.symlink_to(disk / "data")
    for _ in range(2):
        done = machine.run(
            "read_secrets; installed=; configure", **{**SERVER, "CONFIG": config, "DATABASE": "own"}
        )
        assert done.returncode == 0, done.stderr
        (disk / "data" / "server").mkdir(exist_ok=True)
    marker = machine.folder / "etc/k3s-gpu-sharing"
    recorded = [line.split("\t") for line in (marker / "data-folders").read_text().splitlines()]
    assert [str(data), str(disk / "data"), str(disk / "data")] in recorded
    assert [f"{disk}/kubelet", f"{disk}/kubelet", ""] in recorded
    assert len(recorded) == len({tuple(line) for line in recorded})
    assert f"{disk}/data/theirs\n" in (marker / "data-before").read_text()
    assert f"{disk}/data/server" not in (marker / "data-before").read_text()


def test_own_configuration_in_a_linked_folder_is_not_foreign(machine: SimulatedMachine):
    (machine.folder / "disk").mkdir()
    (machine.folder / "disk/theirs").write_text("x")
    (machine.folder / "etc/rancher").mkdir()
    (machine.folder / "etc/rancher/k3s").symlink_to(machine.folder / "disk")
    done = machine.run("read_secrets; installed=; configure", **{**SERVER, "DATABASE": "own"})
    assert done.returncode == 0, done.stderr
    assert (machine.folder / "disk/config.yaml").exists()
    before = (machine.folder / "etc/k3s-gpu-sharing/data-before").read_text().splitlines()
    assert [path for path in before if path.startswith(str(machine.folder))] == [
        f"{machine.folder}/disk/theirs"
    ]


def test_server_restarts_only_while_the_others_are_ready(machine: SimulatedMachine):
    (machine.folder / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    machine.set(nodes="gpu-1 True\nserver-2 True\nserver-3 Unknown\n")
    done = machine.run("check_majority", **SERVER)
    assert done.returncode == 1 and "not Ready: server-3" in done.stderr
    machine.set(nodes="gpu-1 False\nserver-2 True\nserver-3 True\n")
    assert machine.run("check_majority", **SERVER).returncode == 0


def test_missing_release_and_full_disk_have_different_messages(machine: SimulatedMachine):
    missing = machine.run("fetch file:///not/there/k3s /dev/null")
    assert missing.returncode == 1 and "gpu-1: no file /not/there/k3s" in missing.stderr
    assert "change k3s.mirror" in missing.stderr
    full = machine.run(f"fetch file://{machine.folder}/installed {machine.folder}/server/k3s")
    assert full.returncode == 1 and f"could not write {machine.folder}/server/k3s" in full.stderr
    assert "is the disk full or read-only? see df -h, df -i and mount" in full.stderr


def test_reducing_several_servers_to_one_is_refused(machine: SimulatedMachine):
    (machine.folder / "var/lib/rancher/k3s/server/db/etcd").mkdir(parents=True)
    machine.set(nodes="gpu-1\nserver-2\nserver-3\n")
    done = machine.run("check_database", **{**SERVER, "DATABASE": "own"})
    assert done.returncode == 1 and "also server-2 server-3 as servers" in done.stderr
    assert "put them back" in done.stderr and "docs/guides/operations.md" in done.stderr
    machine.set(nodes="gpu-1\n")
    assert machine.run("check_database", **{**SERVER, "DATABASE": "own"}).returncode == 0


def test_secrets_are_read_unchanged(machine: SimulatedMachine):
    sent = {"AGENT_TOKEN": "K10aa::node:it's =\\n $x", "SERVER_TOKEN": "two\nlines ü"}
    done = machine.run(
        'read_secrets; printf \'%s|%s\' "$agent_token" "$server_token"', scripts.secret_lines(**sent)
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
def test_invalid_stdin_is_refused_without_being_shown(machine: SimulatedMachine, stdin: str, words: str):
    done = machine.run("read_secrets", stdin)
    assert done.returncode == 1 and words in done.stderr and "remedy: run up again" in done.stderr
    assert "hidden" not in done.stderr and "aGlkZGVu" not in done.stderr


HEADER = "# From the stack file, by k3s-gpu-sharing.\n"


def test_only_files_of_the_stack_file_are_written_and_removed(machine: SimulatedMachine):
    file = machine.folder / "registries.yaml"
    text = shlex.quote(f"{HEADER}mirrors: {{}}")
    assert machine.run(f"write_or_remove {file} {text} k3s.registries").returncode == 0
    assert file.read_text() == f"{HEADER}mirrors: {{}}\n" and file.stat().st_mode & 0o777 == 0o600
    assert machine.run(f"write_or_remove {file} '' k3s.registries").returncode == 0 and not file.exists()

    file.write_text("by hand\n")
    assert machine.run(f"write_or_remove {file} '' k3s.registries").returncode == 0
    refused = machine.run(f"write_or_remove {file} {text} k3s.registries")
    assert refused.returncode == 1 and "was not written by this program" in refused.stderr
    assert "k3s.registries" in refused.stderr and file.read_text() == "by hand\n"


def test_changed_encryption_is_refused_with_the_commands_to_run(machine: SimulatedMachine):
    (machine.folder / "var/lib/rancher/k3s/server/db").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s").mkdir(parents=True)
    (machine.folder / "etc/rancher/k3s/config.yaml").write_text("secrets-encryption: true\n")
    done = machine.run("check_database", **{**SERVER, "CONFIG": "secrets-encryption: false\n"})
    assert done.returncode == 1 and "k3s secrets-encrypt disable" in done.stderr


@pytest.mark.parametrize("loader", ["curl", "wget"])
def test_download_uses_the_proxy_without_showing_its_password(machine: SimulatedMachine, loader: str):
    tools = machine.folder / "bin"
    tools.mkdir()
    for name in ("sed", "cat", "sh", "env", "date", "timeout", "rm"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    (tools / loader).write_text(
        '#!/bin/sh\necho "$@"; env; [ -z "$WGETRC" ] && cat >&2 || cat "$WGETRC" >&2\n'
    )
    (tools / loader).chmod(0o755)
    done = machine.run(
        f"PATH={tools}; release_dir={machine.folder}; export WGETRC=; download_end=$(($(date +%s) + 60))\n"
        "download https://example.org/k3s $release_dir/x",
        environment="HTTPS_PROXY=http://u:hidden@p:1\nNO_PROXY=10.0.0.0/8",
    )
    assert done.returncode == 0 and "https://example.org/k3s" in done.stdout and "hidden" not in done.stdout
    assert "http://u:hidden@p:1" in done.stderr and "10.0.0.0/8" in done.stderr
    assert not (machine.folder / "wgetrc").exists()


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
def test_image_archives_beside_the_release_are_placed(
    machine: SimulatedMachine, archive: str | None, listed: str | None, words: str
):
    release, images = machine.folder / "release/v1", machine.folder / "var/lib/rancher/k3s/agent/images"
    for folder in (release, images):
        folder.mkdir(parents=True)
    (images / "k3s-airgap-images-amd64.tar.gz").write_text("of an older release")
    (images / "mine.tar").write_text("mine")
    name = "k3s-airgap-images-amd64.tar.zst"
    if archive:
        (release / name).write_text(archive)
    sums = f"{hashlib.sha256(listed.encode()).hexdigest()}  {name}\n" if listed else ""
    (release / "sha256sum-amd64.txt").write_text(sums)
    done = machine.run(
        "arch=amd64; release=$MIRROR/v1; mkdir -p $release_dir; fetch_images; place_images",
        MIRROR=f"file://{machine.folder}/release",
    )
    assert done.returncode == bool(words) and words in done.stderr
    placed = {path.name: path.read_text() for path in images.iterdir()}
    assert placed.pop("mine.tar") == "mine"
    changed = bool(archive) and not words
    assert placed == (
        {name: "images"} if changed else {"k3s-airgap-images-amd64.tar.gz": "of an older release"}
    )
