"""uninstall.sh as root of a machine of its own: namespaces whose files are in memory and on a "big disk"."""

import subprocess
from pathlib import Path

import pytest

from k3sgpu.hosts import scripts
from tests.unit.hosts.shells import SHELLS

UNSHARE = "unshare --user --map-root-user --mount --pid --fork --mount-proc --net --cgroup --ipc".split()
# /etc/alternatives: where Debian's awk is.
MACHINE = """
set -eu
mkdir -p {folder}/etc
cp -a /etc/alternatives {folder}/etc 2>/dev/null || :
mount --bind {folder}/etc /etc
for path in /var/lib /usr/local /run; do mount -t tmpfs tmpfs $path; done
mkdir -p /run/lock /usr/local/bin /usr/local/lib/k3s-gpu-sharing
mkdir -p /etc/k3s-gpu-sharing /etc/rancher/k3s /etc/rancher/node /etc/systemd/system /var/lib/rancher
big={folder}/big
mkdir -p $big
echo 1234 >/etc/machine-id
printf 'project=p\\nstack=s\\nhost=gpu-1\\nmachine-id=1234\\n' >/etc/k3s-gpu-sharing/owner
: >/etc/k3s-gpu-sharing/absent-before
printf '#!/bin/sh\\n' >/usr/local/bin/systemctl
chmod 755 /usr/local/bin/systemctl
"""
# k3s's own script: it deletes by path, and looks for mounts and processes by path.
INSTALL = """
cp /bin/sleep /usr/local/bin/k3s
cat >/usr/local/bin/k3s-uninstall.sh <<'END'
#!/bin/sh
rm -rf /etc/rancher/k3s /run/k3s /var/lib/rancher/k3s /var/lib/kubelet
rm -f /usr/local/bin/k3s /usr/local/bin/k3s-uninstall.sh
END
chmod 755 /usr/local/bin/k3s-uninstall.sh
kubelet=${kubelet:-/var/lib/kubelet}
data=/var/lib/rancher/k3s
mkdir -p $data/data/x/bin $data/server/tls $data/agent $kubelet/pods/a/volume
echo key >$data/server/tls/server-ca.key
echo token >$data/server/token
echo secret >/etc/rancher/node/password
mount -t tmpfs tmpfs $kubelet/pods/a/volume
echo theirs >$kubelet/pods/a/volume/data
cp /bin/sleep $data/data/x/bin/containerd-shim
cp /bin/sleep $data/data/x/bin/deleted
setsid -f $data/data/x/bin/containerd-shim 999 </dev/null >/dev/null 2>&1
setsid -f $data/data/x/bin/deleted 999 </dev/null >/dev/null 2>&1
(cd $kubelet/pods/a && exec setsid -f sleep 999 </dev/null >/dev/null 2>&1)
programs() { ls /proc/[0-9]*/exe 2>/dev/null | xargs -n1 readlink | grep 'sleep\\|-shim\\|deleted'; }
until [ "$(programs | grep -c .)" = 3 ]; do sleep 0.05; done
rm $data/data/x/bin/deleted
"""
# Everything that may be left, but nothing that was there before.
LOOK = """
echo LEFT
find $big /var/lib /etc/rancher /usr/local ! -type d 2>/dev/null | sed "s#$big#BIG#"
grep -o ' [^ ]*/pods/a/[^ ]* ' /proc/self/mounts || :
programs || :
"""


def available() -> bool:
    """Whether this computer lets us have namespaces."""
    return not subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True
    ).returncode


pytestmark = pytest.mark.skipif(not available(), reason="no namespaces of our own here")


class Machine:
    """A machine with a big disk, on which scripts run in new namespaces."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder, self.shell = folder, shell

    def uninstall(
        self, before: str, after: str = "", again: str = "", install: str = INSTALL
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Prepares a machine, runs `before`, installs, runs `after` and uninstalls.

        With `again`, runs that and uninstalls once more. Returns the last uninstall and what is left then.
        """
        clean = self.folder / "clean"
        clean.write_text(scripts.source("uninstall"))
        run = f"{self.shell} {clean} p s gpu-1 && rc=0 || rc=$?"
        steps = [
            MACHINE.format(folder=self.folder),
            before,
            install,
            after,
            f"{run}\n" + (f"[ $rc != 0 ]\n{again}\n{run}\n" if again else ""),
            LOOK,
            "exit $rc",
        ]
        done = subprocess.run(
            [*UNSHARE, "bash", "-c", "\n".join(steps)], capture_output=True, text=True, timeout=60
        )
        print(done.stdout, done.stderr)
        return done, done.stdout.partition("LEFT\n")[2].splitlines()


@pytest.fixture(params=SHELLS)
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    return Machine(tmp_path, request.param)


ROOT_DIR = (
    "echo 'kubelet-arg:\n- max-pods=200\n- root-dir=/var/lib/elsewhere' >/etc/rancher/k3s/config.yaml\n"
)
PLACES = {
    "no link": ("", []),
    "/var/lib/rancher is a link": (
        "rmdir /var/lib/rancher; ln -s $big /var/lib/rancher",
        ["/var/lib/rancher"],
    ),
    "/var/lib/rancher/k3s is a link": ("ln -s $big /var/lib/rancher/k3s", ["/var/lib/rancher/k3s"]),
    "/var/lib/kubelet is a link": ("ln -s $big /var/lib/kubelet", ["/var/lib/kubelet"]),
    "both are links, one of two steps": (
        "cd $big; mkdir a b; ln -s a c; ln -s $big/c /var/lib/kubelet; ln -s $big/b /var/lib/rancher/k3s",
        ["BIG/c", "/var/lib/kubelet", "/var/lib/rancher/k3s"],
    ),
    "a folder of k3s's is a link": (
        "mkdir -p $big/s /var/lib/rancher/k3s; ln -s $big/s /var/lib/rancher/k3s/server",
        [],
    ),
    "a path with a space": (
        "mkdir $big/'a disk'; ln -s $big/'a disk' /var/lib/kubelet",
        ["/var/lib/kubelet"],
    ),
    "root-dir": (f"{ROOT_DIR}kubelet=/var/lib/elsewhere", []),
    "root-dir is a link": (
        f"{ROOT_DIR}ln -s $big /var/lib/elsewhere; kubelet=/var/lib/elsewhere",
        ["/var/lib/elsewhere"],
    ),
    "root-dir on the disk": (
        ROOT_DIR.replace("/var/lib/elsewhere", "'$big'/kubelet") + "kubelet=$big/kubelet",
        [],
    ),
    "the disk itself is mounted": (
        "mount -t tmpfs tmpfs $big; mkdir $big/lost+found; ln -s $big /var/lib/rancher/k3s",
        ["/var/lib/rancher/k3s"],
    ),
}


@pytest.mark.parametrize(("before", "links"), PLACES.values(), ids=PLACES)
def test_uninstall_finds_data_wherever_it_is(machine: Machine, before: str, links: list[str]):
    done, left = machine.uninstall(before)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gpu-1: clean\n" in done.stdout
    assert sorted(left) == sorted([*links, "/usr/local/bin/systemctl"])


THEIRS = """
mkdir -p /var/lib/rancher/k3s/agent/images /var/lib/kubelet
for file in /etc/rancher/k3s/registries.yaml /var/lib/rancher/k3s/agent/images/a.tar /var/lib/kubelet/x; do
    echo theirs >$file
done
mkdir /usr/local/lib/k3s-gpu-sharing/release
echo ours >/usr/local/lib/k3s-gpu-sharing/release/k3s
programs() { :; }
"""


def test_uninstall_where_k3s_was_only_staged_keeps_what_was_there(machine: Machine):
    done, left = machine.uninstall("", THEIRS, install="")
    assert (done.returncode, done.stderr) == (0, "") and "gpu-1: clean\n" in done.stdout
    theirs = [
        "/etc/rancher/k3s/registries.yaml",
        "/var/lib/kubelet/x",
        "/var/lib/rancher/k3s/agent/images/a.tar",
    ]
    assert sorted(left) == sorted([*theirs, "/usr/local/bin/systemctl"])


def test_uninstall_after_a_failed_install_removes_the_configuration(machine: Machine):
    configured = (
        "echo x >/etc/rancher/k3s/config.yaml; : >/etc/k3s-gpu-sharing/data-folders; programs() { :; }"
    )
    done, left = machine.uninstall("", configured, install="")
    assert done.returncode == 0, done.stderr
    assert left == ["/usr/local/bin/systemctl"]


def test_uninstall_without_a_script_of_k3s_finds_linked_data(machine: Machine):
    done, left = machine.uninstall("ln -s $big /var/lib/rancher/k3s", "rm /usr/local/bin/k3s-uninstall.sh")
    assert done.returncode == 0, done.stderr
    assert sorted(left) == ["/usr/local/bin/systemctl", "/var/lib/rancher/k3s"]


def test_uninstall_that_was_cut_off_remembers_where_links_led(machine: Machine):
    """k3s's own script deletes the link; a disk that is full or read-only keeps the data."""
    done, left = machine.uninstall(
        "mkdir $big/b; ln -s $big/b /var/lib/rancher/k3s",
        "mount --bind $big/b/server $big/b/server; mount -o remount,ro,bind $big/b/server; cat() { :; }\n"
        "printf '#!/bin/sh\nexit 1\n' >/usr/local/bin/umount; chmod 755 /usr/local/bin/umount",
        again="rm /usr/local/bin/umount",
    )
    assert done.returncode == 0, done.stderr
    assert f"gpu-1: still there: {machine.folder}/big/b/server;" in done.stderr
    assert sorted(left) == ["/usr/local/bin/systemctl", "/var/lib/rancher/k3s"]


REFUSED = {
    "a link to /": (
        "ln -s / /var/lib/kubelet; kubelet=/var/lib/other",
        "/var/lib/kubelet leads to /, and this is in it and not k3s's: /",
    ),
    "a link to /etc": (
        "ln -s /etc /var/lib/rancher/k3s",
        "/var/lib/rancher/k3s leads to /etc, and this is in it",
    ),
    "a disk with somebody's files": (
        "mkdir $big/photos; ln -s $big /var/lib/kubelet",
        "/var/lib/kubelet leads to {big}, and this is in it and not k3s's: {big}/photos",
    ),
    "root-dir on a disk with somebody's files": (
        ROOT_DIR.replace("/var/lib/elsewhere", "'$big'") + "mkdir $big/photos; kubelet=$big",
        "{big} leads to {big}, and this is in it and not k3s's: {big}/photos",
    ),
    "somebody's folder with a name of k3s's": (
        "ln -s $big /var/lib/rancher/k3s; mkdir $big/data; echo $big/data >/etc/k3s-gpu-sharing/data-before",
        "and this is in it and not k3s's: {big}/data",
    ),
    "a folder of k3s's that leads to somebody's": (
        "mkdir -p /var/lib/rancher/k3s $big/photos; ln -s $big /var/lib/rancher/k3s/storage",
        "/var/lib/rancher/k3s/storage leads to {big}, and this is in it and not k3s's: {big}/photos",
    ),
}


@pytest.mark.parametrize(("before", "message"), REFUSED.values(), ids=REFUSED)
def test_uninstall_changes_nothing_where_a_link_leads_to_others(machine: Machine, before: str, message: str):
    done, left = machine.uninstall(before)
    assert done.returncode == 1
    assert message.format(big=f"{machine.folder}/big") in done.stderr
    assert "nothing was changed\n  remedy: " in done.stderr
    assert "/usr/local/bin/k3s" in left and any("containerd-shim" in line for line in left)


def test_uninstall_asks_for_the_disk_that_a_link_leads_to(machine: Machine):
    done, _ = machine.uninstall("", "rm -rf /var/lib/rancher/k3s; ln -s $big/away /var/lib/rancher/k3s")
    assert done.returncode == 1
    assert f"/var/lib/rancher/k3s leads to {machine.folder}/big/away, which is not there" in done.stderr
