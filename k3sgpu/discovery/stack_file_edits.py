"""Adds entries to a stack file that its user has written: every other byte of the text stays."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from ruamel.yaml.comments import CommentedMap

from k3sgpu.discovery.stack_file_text import dump


class CannotAdd(Exception):
    """A text that is written in a form to which nothing can be added."""


def add_entries(text: str, path: Sequence[str], entries: CommentedMap) -> str:
    """`text` with `entries` as the last of the mapping at `path`; missing mappings are created.

    The comments of `entries` are left out where the mapping is written in braces. Raises CannotAdd where
    something else than a mapping is at `path`.
    """
    node, missing = _walk(yaml.compose(text, Loader=yaml.SafeLoader), path)
    for name in reversed(missing):
        entries = CommentedMap({name: entries})
    if not isinstance(node, yaml.MappingNode) or not (node.value or node.flow_style):
        raise CannotAdd(f"{'.'.join(path)} is no mapping")
    return _into_braces(text, node, entries) if node.flow_style else _below(text, node, entries)


def _walk(node: Any, path: Sequence[str]) -> tuple[Any, list[str]]:
    """The deepest node on the way, and the keys that are missing below it."""
    for depth, name in enumerate(path):
        entries = (
            {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        )
        if name not in entries:
            return node, list(path[depth:])
        node = entries[name]
    return node, []


def _below(text: str, node: yaml.MappingNode, entries: CommentedMap) -> str:
    lines = text.splitlines(keepends=True)
    last = max(_last_lines(node))
    if not lines[last].endswith("\n"):
        lines[last] += "\n"
    indent = " " * node.value[0][0].start_mark.column
    written = dump(entries).splitlines(keepends=True)
    lines[last + 1 : last + 1] = [indent + line if line.strip() else line for line in written]
    return "".join(lines)


def _last_lines(node: Any) -> Iterator[int]:
    """The numbers of lines on which the node's parts end, without the comments behind them."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, value in node.value:
            yield key.end_mark.line
            if value.start_mark.line >= key.start_mark.line:  # an alias has the place of its anchor
                yield from _last_lines(value)
    elif isinstance(node, yaml.SequenceNode) and not node.flow_style:
        for item in node.value:
            yield from _last_lines(item)
    elif isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        yield max(node.start_mark.line, node.end_mark.line - 1)
    else:
        yield node.end_mark.line


def _into_braces(text: str, node: yaml.MappingNode, entries: CommentedMap) -> str:
    end = node.end_mark.index - 1
    written = yaml.safe_dump(_plain(entries), default_flow_style=True, sort_keys=False, width=10**6).strip()
    before = text[:end].rstrip()
    comma = ", " if node.value and not before.endswith(",") else ""
    return f"{before}{comma}{written[1:-1]}{text[end:]}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
