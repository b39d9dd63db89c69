"""The kubeconfig of a cluster that is there already: one context of it, complete in itself."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.ssh_keys import resolve_path
from k3sgpu.settings.models.stack import Settings

FILES = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}
"""Keys that name files, and those that hold their contents in base64."""


def resolve_kubeconfig(settings: Settings, base_dir: str | Path, secret: str | None = None) -> str:
    """The kubeconfig that the stack file names, or the text `secret`, with the chosen context alone.

    Files that it names are put into it: the state has it whole. Raises SettingsError, never quoting it.
    """
    given = settings.kubeconfig
    assert given is not None
    if given.file is None:
        return _chosen(secret or "", given.context, None, "the secret clusterKubeconfig")
    path = resolve_path(given.file, Path(base_dir))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "no text"
        raise _refused("file", f"{path}: {found}", "a readable kubeconfig", "name the file") from None
    return _chosen(text, given.context, path.parent, str(path))


def _chosen(text: str, context: str | None, folder: Path | None, where: str) -> str:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        config = None
    if not isinstance(config, Mapping):
        raise _refused("file", f"{where}: no kubeconfig (not shown)", "a kubeconfig", "name the file")
    name = context or config.get("current-context")
    contexts = [str(entry.get("name")) for entry in _entries(config, "contexts")]
    if name not in contexts:
        found = (
            f"the context {name}, which {where} does not have" if name else f"no current context in {where}"
        )
        choices = ", ".join(contexts) or "none"
        example = contexts[0] if contexts else "NAME"
        raise _refused("context", found, f"one of its contexts: {choices}", f"write context: {example}")
    chosen = _entry(config, "contexts", "context", name, where)
    cluster = _entry(config, "clusters", "cluster", chosen.get("cluster"), where)
    user = _entry(config, "users", "user", chosen.get("user"), where)
    server = str(cluster.get("server", ""))
    if not server.startswith("https://") or cluster.get("insecure-skip-tls-verify"):
        raise _refused(
            "file",
            f"{where}: {server or 'no server'}"
            + (", TLS not verified" if server.startswith("https") else ""),
            "a server at https://… that is verified: what answers there gets the administrator's rights",
            "write the server's https:// address and certificate-authority-data instead of\n"
            "insecure-skip-tls-verify; k3s has both in /etc/rancher/k3s/k3s.yaml",
        )
    alone = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": chosen["cluster"], "cluster": _whole(cluster, folder, where)}],
        "users": [{"name": chosen["user"], "user": _whole(user, folder, where)}],
        "contexts": [{"name": name, "context": dict(chosen)}],
        "current-context": name,
    }
    return yaml.safe_dump(alone, sort_keys=True)


def _entries(config: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    entries = config.get(kind)
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _entry(config: Mapping[str, Any], kind: str, matter: str, name: Any, where: str) -> Mapping[str, Any]:
    for entry in _entries(config, kind):
        if entry.get("name") == name and isinstance(entry.get(matter), Mapping):
            return entry[matter]
    raise _refused(
        "file", f"{where}: no {matter} {name}", f"the {matter} that its context names", "correct it"
    )


def _whole(matter: Mapping[str, Any], folder: Path | None, where: str) -> dict[str, Any]:
    """With the contents of files instead of their names, and without what other programs have noted there."""
    whole = {key: value for key, value in matter.items() if key != "extensions"}
    for key, data in FILES.items():
        if key in whole:
            whole[data] = base64.b64encode(_bytes(whole.pop(key), key, folder, where)).decode()
    if "tokenFile" in whole:
        whole["token"] = _bytes(whole.pop("tokenFile"), "tokenFile", folder, where).decode().strip()
    return whole


def _bytes(name: Any, key: str, folder: Path | None, where: str) -> bytes:
    try:
        if folder is None:
            raise FileNotFoundError(0, "a secret has no folder beside it")
        return (folder / str(name)).read_bytes()
    except OSError as error:
        raise _refused(
            "file",
            f"{where}: {key} names {name}: {error.strerror}",
            "a kubeconfig whose files are there",
            "kubectl config view --raw --flatten --minify > FILE has them all in one",
        ) from None


def _refused(key: str, found: str, expected: str, remedy: str) -> SettingsError:
    return SettingsError([Problem(f"kubeconfig.{key}", found, expected, remedy)])
