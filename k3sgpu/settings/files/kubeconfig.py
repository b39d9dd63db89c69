"""Read the kubeconfig of an existing cluster: one context of it, with the contents of all its files."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from k3sgpu.foreign_text import escape
from k3sgpu.problem import Problem, SettingsError
from k3sgpu.settings.files.regular_file import read_bytes, read_text
from k3sgpu.settings.files.ssh_keys import resolve_path
from k3sgpu.settings.files.yaml_nodes import YamlError, parse
from k3sgpu.settings.models.resolved import Settings

EMBEDDED_KEYS = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}
"""Keys that name a file, and the keys that hold its contents in base64 instead."""


def resolve_kubeconfig(settings: Settings, base_dir: str | Path, secret: str | None = None) -> str:
    """The kubeconfig of the stack file, or the text `secret`, reduced to the chosen context.

    The files that it names are embedded, because the state stores it. Raises SettingsError, whose text never
    quotes the kubeconfig.
    """
    setting = settings.kubeconfig
    assert setting is not None
    if setting.file is None:
        return _reduce(secret or "", setting.context, None, "the secret clusterKubeconfig")
    return read_kubeconfig(setting.file, setting.context, base_dir)


def read_kubeconfig(file: str, context: str | None, base_dir: str | Path) -> str:
    """The kubeconfig `file`, relative to `base_dir`, like resolve_kubeconfig. Raises SettingsError."""
    path = resolve_path(file, Path(base_dir))
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise _refusal("file", f"{path}: {found}", "a readable kubeconfig", "name the file") from None
    return _reduce(text, context, path.parent, str(path))


def _reduce(text: str, context: str | None, folder: Path | None, where: str) -> str:
    try:
        parse(text)  # for its bounds
        config = yaml.safe_load(text)
    except (YamlError, yaml.YAMLError, ValueError, RecursionError):
        config = None
    if not isinstance(config, Mapping):
        raise _refusal("file", f"{where}: no kubeconfig (not shown)", "a kubeconfig", "name the file")
    name = context or config.get("current-context")
    contexts = [str(entry.get("name")) for entry in _entries(config, "contexts")]
    if name not in contexts:
        found = (
            f"the context {escape(name, 100)}, which {where} does not have"
            if name
            else f"no current context in {where}"
        )
        choices = escape(", ".join(contexts) or "none")
        example = escape(contexts[0], 100) if contexts else "NAME"
        raise _refusal("context", found, f"one of its contexts: {choices}", f"write context: {example}")
    chosen = _entry(config, "contexts", "context", name, where)
    cluster = _entry(config, "clusters", "cluster", chosen.get("cluster"), where)
    user = _entry(config, "users", "user", chosen.get("user"), where)
    server = str(cluster.get("server", ""))
    scheme, separator, _ = server.partition("://")
    shown = f"a server at {escape(scheme, 20)}://… (not shown)" if separator else "no server"
    if not server.startswith("https://") or cluster.get("insecure-skip-tls-verify"):
        raise _refusal(
            "file",
            f"{where}: {shown}" + (", TLS not verified" if server.startswith("https") else ""),
            "a server at https://… with a verified certificate: it receives the administrator's credentials",
            "write the server's https:// address and certificate-authority-data instead of\n"
            "insecure-skip-tls-verify; k3s has both in /etc/rancher/k3s/k3s.yaml",
        )
    reduced = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": chosen["cluster"], "cluster": _embed_files(cluster, folder, where)}],
        "users": [{"name": chosen["user"], "user": _embed_files(user, folder, where)}],
        "contexts": [{"name": name, "context": dict(chosen)}],
        "current-context": name,
    }
    return yaml.safe_dump(reduced, sort_keys=True)


def _entries(config: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    entries = config.get(kind)
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _entry(config: Mapping[str, Any], kind: str, key: str, name: Any, where: str) -> Mapping[str, Any]:
    for entry in _entries(config, kind):
        if entry.get("name") == name and isinstance(entry.get(key), Mapping):
            return entry[key]
    raise _refusal(
        "file", f"{where}: no {key} {escape(name, 100)}", f"the {key} that its context names", "correct it"
    )


def _embed_files(entry: Mapping[str, Any], folder: Path | None, where: str) -> dict[str, Any]:
    """The entry with the contents of its files, without the extensions of other programs."""
    embedded = {key: value for key, value in entry.items() if key != "extensions"}
    for key, data in EMBEDDED_KEYS.items():
        if key in embedded:
            embedded[data] = base64.b64encode(_read_bytes(embedded.pop(key), key, folder, where)).decode()
    if "tokenFile" in embedded:
        token = _read_bytes(embedded.pop("tokenFile"), "tokenFile", folder, where)
        embedded["token"] = token.decode("utf-8", "replace").strip()
    return embedded


def _read_bytes(name: Any, key: str, folder: Path | None, where: str) -> bytes:
    try:
        if folder is None:
            raise FileNotFoundError(0, "a secret has no folder beside it")
        return read_bytes(folder / str(name))
    except OSError as error:
        raise _refusal(
            "file",
            f"{where}: {key} names {_file_name(name)}: {error.strerror}",
            "a kubeconfig whose files exist",
            "kubectl config view --raw --flatten --minify > FILE writes one file with all of them",
        ) from None


def _file_name(name: Any) -> str:
    """The name of a file for a message; not a key that was pasted in its place."""
    text = str(name)
    return "something that is no file name (not shown)" if "\n" in text or len(text) > 200 else escape(text)


def _refusal(key: str, found: str, expected: str, remedy: str) -> SettingsError:
    return SettingsError([Problem(f"kubeconfig.{key}", found, expected, remedy)])
