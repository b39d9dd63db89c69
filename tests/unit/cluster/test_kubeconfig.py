"""A stack's entries in a person's kubeconfig, in files as other programs write them and in broken ones."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from k3sgpu.cluster.kubeconfig import file
from k3sgpu.cluster.kubeconfig.entries import KubeconfigError, add_stack, remove_stack
from k3sgpu.cluster.kubeconfig.file import kubeconfig_path
from rehearsal.__main__ import kubeconfig_reminder

ROOT = Path(__file__).resolve().parents[3]
STACK_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: p-lab-cluster, cluster: {server: "https://10.0.0.1:6443", proxy-url: "socks5://x"}}]
users: [{name: p-lab-cluster, user: {client-certificate-data: Qg==, client-key-data: Qw==}}]
contexts: [{name: p-lab-cluster, context: {cluster: p-lab-cluster, user: p-lab-cluster}}]
current-context: p-lab-cluster
"""
# As kubectl, minikube and gcloud leave it: keys that nobody here knows, texts that look like other things.
PERSONAL_KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/me/.minikube/ca.crt
    extensions:
    - extension:
        last-update: Mon, 02 Jan 2023 15:04:05 UTC
        provider: minikube.sigs.k8s.io
      name: cluster_info
    server: https://192.168.49.2:8443
    tls-server-name: 0x10
  name: minikube
contexts:
- context:
    cluster: minikube
    namespace: "1e3"
    user: minikube
  name: minikube
current-context: minikube
kind: Config
preferences:
  colors: yes
users:
- name: minikube
  user:
    auth-provider:
      config:
        expiry: 2023-01-02T15:04:05Z
        id: 010:20
      name: gcp
    exec:
      args:
      - --a-very-long-argument-that-goes-on-and-on-beyond-what-any-line-of-a-file-should-be and-has a space
      provideClusterInfo: false
x-of-mine: {a: 1}
"""


def test_new_file_has_only_the_stack_and_no_current_context():
    made = yaml.safe_load(add_stack("", STACK_KUBECONFIG, "lab"))
    for kind, body in {"clusters": "cluster", "users": "user", "contexts": "context"}.items():
        (entry,) = made[kind]
        assert entry["name"] == "lab" and set(entry) == {"name", body}
    context = made["contexts"][0]["context"]
    assert (context["cluster"], context["user"]) == ("lab", "lab")
    assert made["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert made["users"][0]["user"]["client-key-data"] == "Qw=="
    assert not made.get("current-context")


def test_other_entries_keep_their_spelling():
    made = add_stack(PERSONAL_KUBECONFIG, STACK_KUBECONFIG, "lab")
    assert [line for line in PERSONAL_KUBECONFIG.splitlines() if line not in made.splitlines()] == []
    assert remove_stack(made, "lab") == (PERSONAL_KUBECONFIG, ["cluster lab", "user lab", "context lab"])


COMMENTED = """\
# mine
apiVersion: v1
kind: Config
clusters:
- name: a  # the first
  cluster: &shared {server: "https://a", certificate-authority: ca}
# between
- name: b
  cluster:
    <<: *shared
    server: https://b
users:
  - name: a
    user: {token: "#no"}   # kept
contexts:
- context:
    cluster: a
    user: a
  name: a
# the end
"""


@pytest.mark.parametrize(
    "text", [COMMENTED, COMMENTED + "current-context: a # now\n", COMMENTED.rstrip("\n")]
)
def test_comments_and_anchors_stay(text: str):
    made = add_stack(text, STACK_KUBECONFIG, "lab")
    assert [line for line in text.splitlines() if line not in made.splitlines()] == []
    assert [entry["name"] for entry in yaml.safe_load(made)["clusters"]] == ["a", "b", "lab"]
    assert add_stack(made, STACK_KUBECONFIG, "lab") == made
    moved = add_stack(made, STACK_KUBECONFIG.replace("10.0.0.1", "10.0.0.9"), "lab", use=True)
    assert "10.0.0.1" not in moved and "# between" in moved
    assert yaml.safe_load(moved)["current-context"] == "lab"
    assert remove_stack(made, "lab")[0].rstrip("\n") == text.rstrip("\n")


def test_comments_around_empty_lists_stay():
    text = "# mine\nclusters: []\nusers:\ncontexts: []\n# end\n"
    made = add_stack(text, STACK_KUBECONFIG, "lab")
    assert made.startswith("# mine\nclusters:\n- ") and made.endswith("# end\n")
    assert remove_stack(made, "lab")[0] == "# mine\nclusters:\nusers:\ncontexts:\n# end\n"


def test_comments_that_cannot_stay_are_refused():
    with pytest.raises(KubeconfigError, match="comments or anchors"):
        add_stack("clusters: []  # none\n", STACK_KUBECONFIG, "lab")


def test_second_time_changes_nothing_and_new_cluster_replaces_old():
    made = add_stack(PERSONAL_KUBECONFIG, STACK_KUBECONFIG, "lab")
    assert add_stack(made, STACK_KUBECONFIG, "lab") == made
    other = add_stack(made, STACK_KUBECONFIG.replace("10.0.0.1", "10.0.0.9").replace("Qw==", "RA=="), "lab")
    assert "10.0.0.1" not in other and "Qw==" not in other
    assert [entry["name"] for entry in yaml.safe_load(other)["clusters"]] == ["minikube", "lab"]


def test_namespace_of_the_context_stays():
    made = yaml.safe_load(add_stack(PERSONAL_KUBECONFIG, STACK_KUBECONFIG, "lab"))
    made["contexts"][1]["context"]["namespace"] = "mine"
    again = yaml.safe_load(add_stack(yaml.safe_dump(made), STACK_KUBECONFIG, "lab"))
    assert again["contexts"][1]["context"]["namespace"] == "mine"


def test_current_context_changes_only_with_use():
    made = add_stack(PERSONAL_KUBECONFIG, STACK_KUBECONFIG, "lab", use=True)
    assert yaml.safe_load(made)["current-context"] == "lab"
    rest, removed = remove_stack(made, "lab")
    assert "current-context" not in yaml.safe_load(rest)
    assert removed[-1] == "the current context"


@pytest.mark.parametrize("kind", ["clusters", "users", "contexts"])
def test_entry_of_somebody_else_with_that_name_is_refused(kind: str):
    body = kind.removesuffix("s")
    theirs = f"{kind}:\n- name: lab\n  {body}: {{a: b}}\n"
    with pytest.raises(KubeconfigError, match=rf"(?s){kind}: found the {body} lab.*delete-{body} lab"):
        add_stack(theirs, STACK_KUBECONFIG, "lab")
    assert remove_stack(theirs, "lab") == (theirs, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clusters: [", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("a: \0\n", "not YAML"),
        ("- a\n", "no mapping"),
        ("clusters: 5\n", "clusters: found no list"),
        ("users:\n- 5\n", r"users\[0\]: found no name"),
        ("contexts:\n- {context: {}}\n", r"contexts\[0\]: found no name"),
        ("clusters:\n- name: lab\n", "clusters: found the cluster lab"),
    ],
)
def test_broken_file_is_refused(text: str, said: str):
    with pytest.raises(KubeconfigError, match=said):
        add_stack(text, STACK_KUBECONFIG, "lab")


def test_same_name_twice_is_refused():
    twice = yaml.safe_load(add_stack("", STACK_KUBECONFIG, "lab"))
    twice["users"] *= 2
    with pytest.raises(KubeconfigError, match="users: found 2 entries called lab"):
        add_stack(yaml.safe_dump(twice), STACK_KUBECONFIG, "lab")


def test_null_counts_as_an_empty_list():
    made = add_stack("clusters: null\nusers: null\ncontexts: null\n", STACK_KUBECONFIG, "lab")
    assert len(yaml.safe_load(made)["users"]) == 1


@pytest.mark.parametrize("given", ["Just a text", "{}", "current-context: a\ncontexts: [{name: a}]\n"])
def test_what_is_not_a_kubeconfig_is_not_quoted(given: str):
    with pytest.raises(KubeconfigError, match="the stack's kubeconfig") as refused:
        add_stack("", given, "lab")
    assert "Just" not in str(refused.value)


def test_file_is_the_first_that_kubeconfig_names(tmp_path: Path):
    assert kubeconfig_path({}, tmp_path) == tmp_path / ".kube" / "config"
    assert kubeconfig_path({"KUBECONFIG": ":/a:/b"}, tmp_path) == Path("/a")


def command(
    file: Path, *words: str, given: str | None = STACK_KUBECONFIG
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "k3sgpu", "kubeconfig", "--stack", "lab", *words],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(file)},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_command_adds_and_removes_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(PERSONAL_KUBECONFIG)
    real.chmod(0o644)
    link.symlink_to(real)
    assert "kubectl --context lab" in command(link).stdout
    assert link.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o600
    assert "were there already" in command(link).stdout
    monkeypatch.setenv("KUBECONFIG", str(link))
    assert "make kubeconfig STACK=lab REMOVE=1" in kubeconfig_reminder("lab")
    assert "removed cluster lab" in command(link, "--remove", given=None).stdout
    assert real.read_text() == PERSONAL_KUBECONFIG and kubeconfig_reminder("lab") == ""
    assert "no entries of stack lab" in command(link, "--remove", given=None).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_new_file_and_folder_are_readable_only_by_their_owner(tmp_path: Path):
    file = tmp_path / ".kube" / "config"
    assert "no entries of stack lab" in command(file, "--remove").stdout
    assert not file.parent.exists()
    assert command(file, "--use").returncode == 0
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file.parent, file)] == [0o700, 0o600]


def test_kubeconfig_that_cannot_be_used_is_refused(tmp_path: Path):
    file = tmp_path / "config"
    file.write_text("clusters: [")
    for done, said in {
        "broken": (command(file), "not YAML"),
        "nothing": (command(file, given=""), "found nothing; expected the kubeconfig of stack lab"),
        "absent": (
            command(file, "--from", str(tmp_path / "none")),
            "has no kubeconfig here; run pulumi up first",
        ),
    }.values():
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert file.read_text() == "clusters: ["
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for done, said in (
        (command(loop), "leads to itself"),
        (command(file, "--stack", ""), "the name of a stack"),
    ):
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_lock_of_another_program_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config, lock = tmp_path / "config", tmp_path / "config.lock"
    monkeypatch.setattr(file, "LOCK_SECONDS", 0.2)
    lock.touch()
    with pytest.raises(file.KubeconfigFileError, match="another program is changing it"):
        file.edit_file(config, lambda text: text + "a")
    lock.unlink()
    monkeypatch.setattr(file, "LOCK_SECONDS", 20)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: file.edit_file(config, lambda text: text + "a"), range(12)))
    assert config.read_text() == "a" * 12
