"""Adds one stack's cluster, user and context to the text of a kubeconfig, and removes them.

Other programs write the same file, so everything that is not ours is copied as YAML nodes and never
interpreted: the spelling of its values does not change. Our entries have an extension, in the field that
kubeconfigs have for it (`extensions`); an entry of the same name without it belongs to somebody else.
"""

import copy
from collections.abc import Iterator

import yaml

from k3sgpu.cluster.kubeconfig.splice import COMMENT_OR_ANCHOR, CannotSplice, spliced
from k3sgpu.settings.files.yaml_nodes import YamlError, parse

BODY_KEYS = {"clusters": "cluster", "users": "user", "contexts": "context"}
"""By list of a kubeconfig: the key of an entry's body, beside its name."""
OWNER_EXTENSION = "k3s-gpu-sharing"
YAML_TAG = "tag:yaml.org,2002:"
EMPTY = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n"


class KubeconfigError(Exception):
    """A kubeconfig, or an entry of it, that cannot be used. Its text never quotes the file."""


def add_stack(text: str, stack_kubeconfig: str, stack: str, *, use: bool = False) -> str:
    """Returns `text` with the cluster, user and context of `stack_kubeconfig`, all called `stack`.

    `use` makes it the current context; otherwise the current context stays. Raises KubeconfigError.
    """
    root = _read((text.strip() and text) or EMPTY, "the kubeconfig")
    for kind, body in _current(stack_kubeconfig).items():
        entries = _entries(root, kind)
        existing = list(_entries_named(entries, kind, stack))
        if len(existing) > 1:
            raise KubeconfigError(
                f"{kind}: found {len(existing)} entries called {stack}; expected one. Remove the others"
            )
        for index, old in existing:
            _must_be_ours(old, kind, stack)
            if kind == "contexts":
                _keep_settings(body, _get(old, "context"))
            entries.value[index] = _our_entry(body, kind, stack)
        if not existing:
            entries.value.append(_our_entry(body, kind, stack))
            entries.flow_style = len(entries.value) > 1 and entries.flow_style  # an empty list is written []
    if use:
        _set(root, "current-context", _node(stack))
    return _text(text, root)


def remove_stack(text: str, stack: str) -> tuple[str, list[str]]:
    """Returns `text` without our entries called `stack`, and what was removed ("context lab").

    If the current context was among them, the file has none afterwards. Raises KubeconfigError.
    """
    root = _read((text.strip() and text) or EMPTY, "the kubeconfig")
    removed: list[str] = []
    for kind, word in BODY_KEYS.items():
        entries = _entries(root, kind)
        ours = {place for place, entry in _entries_named(entries, kind, stack) if _is_ours(entry, kind)}
        entries.value = [entry for place, entry in enumerate(entries.value) if place not in ours]
        removed += [f"{word} {stack}"] * len(ours)
    current = _get(root, "current-context")
    if f"context {stack}" in removed and current is not None and current.value == stack:
        root.value = [(key, value) for key, value in root.value if value is not current]
        removed.append("the current context")
    return (_text(text, root) if removed else text), removed


def _current(stack_kubeconfig: str) -> dict[str, yaml.MappingNode]:
    """The context, cluster and user that are current in the stack's kubeconfig, by list."""
    root = _read(stack_kubeconfig, "the stack's kubeconfig")
    name = _get(root, "current-context")
    context = _body(root, "contexts", name)
    cluster, user = _get(context, "cluster"), _get(context, "user")
    return {
        "clusters": _body(root, "clusters", cluster),
        "users": _body(root, "users", user),
        "contexts": context,
    }


def _body(root: yaml.MappingNode, kind: str, name: yaml.Node | None) -> yaml.MappingNode:
    for _, entry in _entries_named(_entries(root, kind), kind, name.value if name else ""):
        body = _get(entry, BODY_KEYS[kind])
        if isinstance(body, yaml.MappingNode):
            return copy.deepcopy(body)
    raise KubeconfigError(
        f"the stack's kubeconfig has no {BODY_KEYS[kind]} for its current context; run pulumi up again"
    )


def _our_entry(body: yaml.MappingNode, kind: str, stack: str) -> yaml.MappingNode:
    """An entry called `stack` with our extension."""
    if kind == "contexts":
        for key in ("cluster", "user"):
            _set(body, key, _node(stack))
    _set(body, "extensions", _node([{"name": OWNER_EXTENSION, "extension": {"stack": stack}}]))
    return yaml.MappingNode(
        f"{YAML_TAG}map", [(_node("name"), _node(stack)), (_node(BODY_KEYS[kind]), body)], flow_style=False
    )


def _keep_settings(body: yaml.MappingNode, old: yaml.Node | None) -> None:
    """Copies what a person has added to the old context, such as a namespace."""
    for key, value in old.value if isinstance(old, yaml.MappingNode) else ():
        if _get(body, key.value) is None:
            body.value.append((key, value))


def _must_be_ours(entry: yaml.MappingNode, kind: str, stack: str) -> None:
    if not _is_ours(entry, kind):
        word = BODY_KEYS[kind]
        raise KubeconfigError(
            f"{kind}: found the {word} {stack}, which this program did not write; expected none\n"
            "of this name, or its own. Rename it in the file, or delete it: "
            f"kubectl config delete-{word} {stack}"
        )


def _is_ours(entry: yaml.MappingNode, kind: str) -> bool:
    body = _get(entry, BODY_KEYS[kind])
    marks = _get(body, "extensions") if isinstance(body, yaml.MappingNode) else None
    items = marks.value if isinstance(marks, yaml.SequenceNode) else []
    names = [_get(item, "name") for item in items if isinstance(item, yaml.MappingNode)]
    return any(name is not None and name.value == OWNER_EXTENSION for name in names)


def _entries_named(
    entries: yaml.SequenceNode, kind: str, name: str
) -> Iterator[tuple[int, yaml.MappingNode]]:
    """The entries of that name with their index. Raises KubeconfigError for anything that is not an entry."""
    for place, entry in enumerate(entries.value):
        called = _get(entry, "name") if isinstance(entry, yaml.MappingNode) else None
        if called is None:
            raise KubeconfigError(
                f"{kind}[{place}]: found no name; expected `name:` and `{BODY_KEYS[kind]}:`. Correct it"
            )
        if called.value == name:
            yield place, entry


def _entries(root: yaml.MappingNode, kind: str) -> yaml.SequenceNode:
    """The list. A missing one, and the `null` that kubectl writes for an empty one, become an empty list."""
    there = _get(root, kind)
    if isinstance(there, yaml.SequenceNode):
        return there
    if there is not None and there.tag != f"{YAML_TAG}null":
        raise KubeconfigError(f"{kind}: found no list; expected a list of entries with `name:`. Correct it")
    empty = yaml.SequenceNode(f"{YAML_TAG}seq", [], flow_style=True)
    _set(root, kind, empty)
    return empty


def _read(text: str, what: str) -> yaml.MappingNode:
    try:
        parse(text)  # refuses what is too large or nested too deeply
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except YamlError as error:
        raise KubeconfigError(
            f"{what} is not YAML" + (f" (line {error.line})" if error.line else "")
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise KubeconfigError(f"{what} is not YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    if not isinstance(root, yaml.MappingNode):
        raise KubeconfigError(
            f"{what} is not a kubeconfig: found {'nothing' if root is None else 'no mapping'}"
        )
    return root


def _text(before: str, root: yaml.MappingNode) -> str:
    """The text of a changed kubeconfig; with its comments and anchors, if it has any."""
    if not COMMENT_OR_ANCHOR.search(before):
        return _dump(root)
    try:
        return spliced(before, _read(before, "the kubeconfig"), root, tuple(BODY_KEYS))
    except CannotSplice:
        raise KubeconfigError(
            "found comments or anchors that this change cannot keep; expected lists with an entry a line.\n"
            "Write the file anew: kubectl config view --raw > NEW, then put NEW in its place"
        ) from None


def _dump(root: yaml.MappingNode) -> str:
    return yaml.serialize(root, Dumper=yaml.SafeDumper, width=float("inf"), allow_unicode=True)


def _node(value: object) -> yaml.Node:
    return yaml.compose(yaml.safe_dump(value), Loader=yaml.SafeLoader)


def _get(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _set(mapping: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    place = next((at for at, (name, _) in enumerate(mapping.value) if name.value == key), len(mapping.value))
    mapping.value[place : place + 1] = [(_node(key), value)]
