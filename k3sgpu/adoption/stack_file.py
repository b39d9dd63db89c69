"""The text of an adopted cluster's stack file, with comments."""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap

from k3sgpu.discovery.stack_file_text import SCHEMA, dump, quoted
from k3sgpu.settings import NAMESPACE

_HEAD = f"""\
# {SCHEMA}
# The cluster as `python -m k3sgpu adopt` found it. docs/guides/adopt.md says which keys may go, and when.
"""
_COMMENTS = {
    "ssh": "How the machines are reached; a pool and a host may have their own login.",
    "k3s": "The k3s that was installed by hand. The first `up` takes it over and restarts nothing.",
    "kubeconfig": "Who may change the cluster.",
    "pools": "Nodes with the same cards form a pool.",
    "gpuOperator": "The operator that was installed by hand, with exactly its values.",
    "sharing": "The configurations of its device plugin. `adopted` keeps the names that are in use.",
}
"""By section: what stands above it."""
_WITH_HOSTS = " `adopt` of a host may go after the first `up`."
_NO_OPERATOR = "The cluster has none. After the first `up`, take this section out to have one installed."
_NOTES = {
    "gpuOperator": {
        "release": "Helm's name of it; stays for ever",
        "adopted": "remove it when pods of the operator may start again",
        "protect": "a destroy deletes nothing, until this is false and `up` was run",
    }
}
"""By section and key: what stands beside it."""


def stack_file_text(sections: Mapping[str, Any]) -> str:
    """Returns the stack file with these sections."""
    config = CommentedMap()
    for name, section in sections.items():
        values = CommentedMap(_quoted(section))
        for key, note in _NOTES.get(name, {}).items():
            if key in values:
                values.yaml_add_eol_comment(note, key, column=0)
        config[NAMESPACE + name] = values
        comment = _NO_OPERATOR if section == {"enabled": False} else _COMMENTS.get(name)
        if comment and name == "pools" and "ssh" in sections:
            comment += _WITH_HOSTS
        if comment:
            config.yaml_set_comment_before_after_key(NAMESPACE + name, before=comment, indent=2)
    return _HEAD + dump({"config": config})


def _quoted(value: Any) -> Any:
    """`value` with quotes around texts that YAML 1.1 would take for something else, such as yes."""
    if isinstance(value, Mapping):
        return {_quoted(key): _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return quoted(value) if isinstance(value, str) else value
