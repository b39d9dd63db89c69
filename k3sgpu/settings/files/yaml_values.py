"""From YAML nodes to the values that Pulumi makes of them."""

import re
from collections.abc import Iterator
from typing import Any

from k3sgpu.foreign_text import escape
from k3sgpu.settings.files.yaml_nodes import FOREIGN_SPACE, Node, foreign_space_found
from k3sgpu.settings.files.yaml_scalars import Ambiguous, resolve
from k3sgpu.settings.model_paths import Loc

STR_TAG = "tag:yaml.org,2002:str"
MERGE = "<<"
_MISREAD_SPACE = re.compile(rf"[{FOREIGN_SPACE}]|[^:]*:[{FOREIGN_SPACE}]")


class Reader:
    """Makes values of nodes. `faults` gets what cannot be used: path, node, what was found, the remedy."""

    def __init__(self) -> None:
        self.faults: list[tuple[Loc, Node, str, str]] = []

    def value(self, node: Node, path: Loc) -> Any:
        """The JSON value of a node; None in place of what cannot be used."""
        if node.tag is not None and not (node.kind == "scalar" and node.tag == STR_TAG):
            return self.fault(path, node, f"the tag {_shown(node.tag)}", "write the value without a tag")
        if node.kind == "scalar":
            return self._scalar(node, path)
        if node.kind == "sequence":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
        return {key: self.value(child, (*path, key)) for key, child in self.entries(node, path).items()}

    def entries(self, node: Node, path: Loc) -> dict[str, Node]:
        """The nodes of a mapping by their keys, merged ones (`<<`) after its own."""
        own: dict[str, Node] = {}
        merged: list[Node] = []
        lines: dict[str, int] = {}
        for key_node, child in _pairs(node):
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in lines:
                found = f"the key {_shown(key)} a second time (first in line {lines[key]})"
                self.fault((*path, key), key_node, found, "remove one of them")
                continue
            lines[key] = key_node.line
            if _is_merge(key_node):
                merged = self._mergeable(child, path)
            else:
                own[key] = child
        for mapping in merged:
            for key, child in self.entries(mapping, path).items():
                own.setdefault(key, child)
        return own

    def _key(self, node: Node, path: Loc) -> str | None:
        """The text of a key: Pulumi makes text of true and of numbers."""
        if node.kind != "scalar" or node.tag not in (None, STR_TAG):
            return self.fault(path, node, "a key that is no plain text", "write a plain key")
        if node.quoted or node.tag == STR_TAG or _is_merge(node):
            return node.text
        if _MISREAD_SPACE.match(node.text):
            return self.fault(path, node, _space(node.text), "write an ordinary space")
        try:
            value = resolve(node.text)
        except Ambiguous as error:
            return self.fault(path, node, f"a key that is {error}", error.remedy)
        text = str(value).lower() if isinstance(value, bool) else "no value" if value is None else str(value)
        if value is None or text != node.text:
            found = f"the key {_shown(node.text) or '(empty)'}, which Pulumi reads as {_shown(text)}"
            return self.fault(path, node, found, "put the key in quotes to keep the text")
        return node.text

    def _scalar(self, node: Node, path: Loc) -> Any:
        if node.quoted or node.tag == STR_TAG:
            return node.text
        if _MISREAD_SPACE.match(node.text):
            return self.fault(path, node, _space(node.text), "write an ordinary space")
        try:
            return resolve(node.text)
        except Ambiguous as error:
            return self.fault(path, node, str(error), error.remedy)

    def _mergeable(self, node: Node, path: Loc) -> list[Node]:
        """The mappings that `<<` names, the strongest first."""
        found = node.items if node.kind == "sequence" else [node]
        if all(one.kind == "mapping" for one in found):
            return found
        self.fault(path, node, "no mapping below <<", "name an anchor of a mapping: `<<: *NAME`")
        return []

    def fault(self, path: Loc, node: Node, found: str, remedy: str) -> None:
        """Add to `faults`."""
        self.faults.append((path, node, found, remedy))


def _pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    return zip(node.items[::2], node.items[1::2], strict=True)


def _is_merge(node: Node) -> bool:
    return node.text == MERGE and not node.quoted and node.tag is None


def _space(text: str) -> str:
    odd = next(char for char in text if re.match(f"[{FOREIGN_SPACE}]", char))
    return foreign_space_found(odd)


def _shown(text: str) -> str:
    return escape(text, 60)
