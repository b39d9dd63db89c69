"""The kubeconfig of an existing cluster: reduced to one context, with its files embedded."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from k3sgpu import settings as s

POOLS = {"rtx": {"nodes": ["gpu-1"]}}


def kubeconfig(**cluster: Any) -> dict[str, Any]:
    """Two clusters of one person; `cluster` changes the second, `lab`."""
    lab = {"server": "https://10.0.0.1:6443", "certificate-authority": "ca.crt", **cluster}
    return {
        "clusters": [{"name": "other", "cluster": {"server": "https://x"}}, {"name": "lab", "cluster": lab}],
        "users": [
            {"name": "other", "user": {"token": "theirs"}},
            {"name": "me", "user": {"client-certificate-data": "QQ==", "client-key": "keys/me"}},
        ],
        "contexts": [
            {"name": "other", "context": {"cluster": "other", "user": "other"}},
            {"name": "lab", "context": {"cluster": "lab", "user": "me"}},
        ],
        "current-context": "other",
    }


def resolved(folder: Path, content: Any, **given: Any) -> dict[str, Any]:
    (folder / "config").write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    (folder / "ca.crt").write_text("authority")
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys" / "me").write_text("key")
    settings = s.parse({"kubeconfig": {"file": "config", **given}, "pools": POOLS})
    return yaml.safe_load(s.resolve_kubeconfig(settings, folder))


def test_chosen_context_is_kept_with_its_files_embedded(tmp_path: Path):
    alone = resolved(tmp_path, kubeconfig(), context="lab")
    (cluster,), (user,) = alone["clusters"], alone["users"]
    assert cluster["cluster"] == {
        "server": "https://10.0.0.1:6443",
        "certificate-authority-data": base64.b64encode(b"authority").decode(),
    }
    key = base64.b64encode(b"key").decode()
    assert user["user"] == {"client-certificate-data": "QQ==", "client-key-data": key}
    assert alone["current-context"] == "lab" and "theirs" not in str(alone)


def test_default_is_the_current_context(tmp_path: Path):
    assert resolved(tmp_path, kubeconfig())["clusters"][0]["cluster"] == {"server": "https://x"}


def test_kubeconfig_may_be_a_secret():
    settings = s.parse({"kubeconfig": {}, "pools": POOLS}, {"clusterKubeconfig"})
    alone = yaml.safe_load(s.resolve_kubeconfig(settings, ".", yaml.safe_dump(kubeconfig())))
    assert alone["users"] == [{"name": "other", "user": {"token": "theirs"}}]


@pytest.mark.parametrize(
    ("content", "path", "found", "remedy"),
    [
        ("secret: [", "kubeconfig.file", "no kubeconfig (not shown)", "name the file"),
        ("[" * 5000, "kubeconfig.file", "no kubeconfig (not shown)", "name the file"),
        ("a: 2020-99-99", "kubeconfig.file", "no kubeconfig (not shown)", "name the file"),
        (kubeconfig(**{"client-key": "-----BEGIN\ntheirs"}), "kubeconfig.file", "no file name", "--flatten"),
        (kubeconfig(**{"certificate-authority": "a\0b"}), "kubeconfig.file", "not the name", "--flatten"),
        ("a text", "kubeconfig.file", "no kubeconfig (not shown)", "name the file"),
        ({"contexts": [{"name": "a"}]}, "kubeconfig.context", "the context lab, which", "write context: a"),
        (kubeconfig() | {"users": []}, "kubeconfig.file", "no user me", "correct it"),
        (
            kubeconfig(server="http://me:theirs@x"),
            "kubeconfig.file",
            "http://…",
            "certificate-authority-data",
        ),
        (kubeconfig(**{"insecure-skip-tls-verify": True}), "kubeconfig.file", "not verified", "instead of"),
        (kubeconfig(**{"certificate-authority": "none"}), "kubeconfig.file", "names none", "--flatten"),
    ],
)
def test_unusable_kubeconfig_is_refused(tmp_path: Path, content: Any, path: str, found: str, remedy: str):
    with pytest.raises(s.SettingsError) as refused:
        resolved(tmp_path, content, context="lab")
    (problem,) = refused.value.problems
    assert problem.where == path and found in problem.found and remedy in problem.remedy
    assert "theirs" not in str(refused.value)


def test_nodes_of_existing_cluster_are_no_machines():
    settings = s.parse({"kubeconfig": "config", "pools": POOLS})
    assert [node.name for node in settings.nodes] == ["gpu-1"]
    assert settings.machines == () and s.resolve_ssh(settings, ".") == {}
