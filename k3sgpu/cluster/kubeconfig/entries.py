"""One stack's cluster, user and context in a kubeconfig: put in, and taken out again. Text in, text out.

A kubeconfig is shared by all that speak to clusters, so what is not ours is carried over node by node,
without being read: no value of somebody else's changes its spelling. Entries of ours carry a mark, in the
place that kubeconfigs have for it (`extensions`); one of the same name without it is somebody else's.
"""

import copy
from collections.abc import Iterator

import yaml

KINDS = {"clusters": "cluster", "users": "user", "contexts": "context"}
"""Lists of a kubeconfig, and where the matter of an entry stands."""
MARK = "k3s-gpu-sharing"
TAG = "tag:yaml.org,2002:"
EMPTY = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n"


class Unusable(Exception):
    """A kubeconfig, or an entry of it, that cannot be used. Its text never quotes the file."""


def merged(text: str, given: str, stack: str, *, use: bool = False) -> str:
    """`text` with the cluster, user and context of the kubeconfig `given` in it, all called `stack`.

    `use` makes it the current context, which is otherwise left alone. Raises Unusable.
    """
    root = _read((text.strip() and text) or EMPTY, "it")
    for kind, matter in _current(given).items():
        entries = _entries(root, kind)
        there = list(_called(entries, kind, stack))
        if len(there) > 1:
            raise Unusable(
                f"{kind}: found {len(there)} entries called {stack}; expected one. Remove the others"
            )
        for place, old in there:
            _must_be_ours(old, kind, stack)
            if kind == "contexts":
                _keep(matter, _get(old, "context"))
            entries.value[place] = _marked(matter, kind, stack)
        if not there:
            entries.value.append(_marked(matter, kind, stack))
            entries.flow_style = len(entries.value) > 1 and entries.flow_style  # an empty list is written []
    if use:
        _set(root, "current-context", _node(stack))
    return _written(root)


def removed(text: str, stack: str) -> tuple[str, list[str]]:
    """`text` without this program's entries called `stack`, and which those were ("context lab").

    Where the current context was among them there is none afterwards. Raises Unusable.
    """
    root = _read((text.strip() and text) or EMPTY, "it")
    gone: list[str] = []
    for kind, word in KINDS.items():
        entries = _entries(root, kind)
        ours = {place for place, entry in _called(entries, kind, stack) if _is_ours(entry, kind)}
        entries.value = [entry for place, entry in enumerate(entries.value) if place not in ours]
        gone += [f"{word} {stack}"] * len(ours)
    current = _get(root, "current-context")
    if f"context {stack}" in gone and current is not None and current.value == stack:
        root.value = [(key, value) for key, value in root.value if value is not current]
        gone.append("the current context")
    return (_written(root) if gone else text), gone


def _current(given: str) -> dict[str, yaml.MappingNode]:
    """By kind: the matter of what the current context of a kubeconfig names."""
    root = _read(given, "the stack's kubeconfig")
    name = _get(root, "current-context")
    context = _matter(root, "contexts", name)
    cluster, user = _get(context, "cluster"), _get(context, "user")
    return {
        "clusters": _matter(root, "clusters", cluster),
        "users": _matter(root, "users", user),
        "contexts": context,
    }


def _matter(root: yaml.MappingNode, kind: str, name: yaml.Node | None) -> yaml.MappingNode:
    for _, entry in _called(_entries(root, kind), kind, name.value if name else ""):
        matter = _get(entry, KINDS[kind])
        if isinstance(matter, yaml.MappingNode):
            return copy.deepcopy(matter)
    raise Unusable(f"the stack's kubeconfig has no {KINDS[kind]} for its current context; run up again")


def _marked(matter: yaml.MappingNode, kind: str, stack: str) -> yaml.MappingNode:
    """An entry called `stack` with the mark in it."""
    if kind == "contexts":
        for key in ("cluster", "user"):
            _set(matter, key, _node(stack))
    _set(matter, "extensions", _node([{"name": MARK, "extension": {"stack": stack}}]))
    return yaml.MappingNode(
        f"{TAG}map", [(_node("name"), _node(stack)), (_node(KINDS[kind]), matter)], flow_style=False
    )


def _keep(matter: yaml.MappingNode, old: yaml.Node | None) -> None:
    """What a person has said of the context stays: its namespace."""
    for key, value in old.value if isinstance(old, yaml.MappingNode) else ():
        if _get(matter, key.value) is None:
            matter.value.append((key, value))


def _must_be_ours(entry: yaml.MappingNode, kind: str, stack: str) -> None:
    if not _is_ours(entry, kind):
        word = KINDS[kind]
        raise Unusable(
            f"{kind}: found the {word} {stack}, which this program did not write; expected none\n"
            "of this name, or its own. Rename it in the file, or take it away: "
            f"kubectl config delete-{word} {stack}"
        )


def _is_ours(entry: yaml.MappingNode, kind: str) -> bool:
    matter = _get(entry, KINDS[kind])
    marks = _get(matter, "extensions") if isinstance(matter, yaml.MappingNode) else None
    items = marks.value if isinstance(marks, yaml.SequenceNode) else []
    names = [_get(item, "name") for item in items if isinstance(item, yaml.MappingNode)]
    return any(name is not None and name.value == MARK for name in names)


def _called(entries: yaml.SequenceNode, kind: str, name: str) -> Iterator[tuple[int, yaml.MappingNode]]:
    """Entries of that name, and where in the list they stand. Raises Unusable for what is no entry."""
    for place, entry in enumerate(entries.value):
        called = _get(entry, "name") if isinstance(entry, yaml.MappingNode) else None
        if called is None:
            raise Unusable(
                f"{kind}[{place}]: found no name; expected `name:` and `{KINDS[kind]}:`. Correct it"
            )
        if called.value == name:
            yield place, entry


def _entries(root: yaml.MappingNode, kind: str) -> yaml.SequenceNode:
    """The list; a missing one, and the `null` that kubectl writes for an empty one, are made a list."""
    there = _get(root, kind)
    if isinstance(there, yaml.SequenceNode):
        return there
    if there is not None and there.tag != f"{TAG}null":
        raise Unusable(f"{kind}: found no list; expected a list of entries with `name:`. Correct it")
    empty = yaml.SequenceNode(f"{TAG}seq", [], flow_style=True)
    _set(root, kind, empty)
    return empty


def _read(text: str, what: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unusable(f"{what} is no YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    if not isinstance(root, yaml.MappingNode):
        raise Unusable(f"{what} is no kubeconfig: found {'nothing' if root is None else 'no mapping'}")
    return root


def _written(root: yaml.MappingNode) -> str:
    return yaml.serialize(root, Dumper=yaml.SafeDumper, width=float("inf"), allow_unicode=True)


def _node(value: object) -> yaml.Node:
    return yaml.compose(yaml.safe_dump(value), Loader=yaml.SafeLoader)


def _get(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _set(mapping: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    place = next((at for at, (name, _) in enumerate(mapping.value) if name.value == key), len(mapping.value))
    mapping.value[place : place + 1] = [(_node(key), value)]
