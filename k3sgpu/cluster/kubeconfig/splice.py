"""Changes only the lines of a kubeconfig that differ, so that comments and anchors stay.

PyYAML's nodes know their lines but no comments and no names of anchors, so a file that is written from nodes
loses both.
"""

import re
import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

COMMENT_OR_ANCHOR = re.compile(r"(^|\s)#|(^|[\s\[{,])[&*][^\s,\]}]+", re.MULTILINE)
"""A comment, an anchor or an alias, or a text in quotes that only looks like one."""
CURRENT = "current-context"
NULL = ("tag:yaml.org,2002:null", "")


class CannotSplice(Exception):
    """The lines to change cannot be separated from other lines."""


def spliced(text: str, old: yaml.MappingNode, new: yaml.MappingNode, lists: tuple[str, ...]) -> str:
    """`text`, of which `old` are the nodes, with the entries of `lists` and the current context of `new`.

    Raises CannotSplice.
    """
    lines = [f"{line}\n" for line in text.rstrip("\n").split("\n")]
    edits: list[tuple[int, int, str]] = []
    before, after = _by_key(old), _by_key(new)
    for key in (*lists, CURRENT):
        edits += _edits(key, before.get(key), after.get(key), lines)
    for start, end, written in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        lines[start:end] = [written] if written else []
    result = "".join(lines)
    try:
        made = yaml.compose(result, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise CannotSplice from None
    if not isinstance(made, yaml.MappingNode) or _plain_keys(made) != _plain_keys(new):
        raise CannotSplice
    return result


def _edits(key: str, old: Any, new: Any, lines: list[str]) -> list[tuple[int, int, str]]:
    """Lines to replace: the first, the end (excluded), and the text in their place."""
    if _plain(old) == _plain(new):
        return []
    if old is None:
        return [(len(lines), len(lines), _written({key: new}, 0))]
    if key == CURRENT:
        line = old.start_mark.line
        return [(line, line + 1, _written({key: new}, 0) if new is not None else "")]
    line = old.start_mark.line
    is_last_on_line = not lines[line][old.end_mark.column :].strip()
    if not old.value and is_last_on_line:  # clusters: []
        return [(line, line + 1, _written({key: new}, 0))]
    if not isinstance(old, yaml.SequenceNode) or not old.value or old.flow_style:
        raise CannotSplice
    column = old.start_mark.column
    names = {_name(entry): entry for entry in new.value}
    edits = []
    for entry in old.value:
        kept = names.pop(_name(entry), None)
        if _plain(kept) != _plain(entry):
            written = _written([kept], column) if kept is not None else ""
            edits.append((entry.start_mark.line, _last_line(entry) + 1, written))
    end = _last_line(old.value[-1]) + 1
    return edits + [(end, end, _written([entry], column)) for entry in names.values()]


def _written(value: Mapping[str, yaml.Node] | list[yaml.Node], column: int) -> str:
    """The text of a key with its value, or of entries of a list, in lines of their own."""
    if isinstance(value, list):
        node: yaml.Node = yaml.SequenceNode("tag:yaml.org,2002:seq", value, flow_style=False)
    else:
        pairs = [(yaml.ScalarNode("tag:yaml.org,2002:str", key), one) for key, one in value.items()]
        node = yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
    text = yaml.serialize(node, Dumper=yaml.SafeDumper, width=float("inf"), allow_unicode=True)
    return textwrap.indent(text, " " * column)


def _last_line(node: yaml.Node) -> int:
    """The last line with a part of a node: the end of a block collection is the start of what follows it."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        before_next = node.end_mark.column == 0 and node.end_mark.line > node.start_mark.line
        return node.end_mark.line - before_next
    parts = (
        node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
    )
    return max(_last_line(part) for part in parts if part.start_mark.line >= node.start_mark.line)


def _name(entry: yaml.Node) -> str:
    pairs = entry.value if isinstance(entry, yaml.MappingNode) else []
    return next((value.value for key, value in pairs if key.value == "name"), "")


def _by_key(root: yaml.MappingNode) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in root.value}


def _plain_keys(root: yaml.MappingNode) -> dict[str, Any]:
    plain = {key: _plain(value) for key, value in _by_key(root).items()}
    return {key: [] if value == NULL else value for key, value in plain.items()}  # as kubectl takes it


def _plain(node: yaml.Node | None) -> Any:
    """A node without its form and place."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return [(_plain(key), _plain(value)) for key, value in node.value]
    return (node.tag, node.value) if node is not None else None
