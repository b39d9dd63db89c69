"""Parse YAML into nodes with their places, within bounds.

The parser is libyaml, of which Pulumi's own, gopkg.in/yaml.v3, is a translation: both accept the same syntax.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_NODES = 100_000
"""Values of a file, those behind each alias counted again. A stack file of 200 hosts has some 5,000."""
MAX_DEPTH = 64
ALIAS_SHARE, ALIAS_MINIMUM, NODE_MINIMUM = 0.99, 100, 1000
"""Pulumi's parser refuses more values from aliases than this share, above these numbers (decode.go in
yaml.v3: "document contains excessive aliasing")."""

FOREIGN_SPACE = "\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff"
"""Characters that look like a space and are none in YAML."""
_AS_SPACE = re.compile(rf"^[ \t]*[{FOREIGN_SPACE}]|[:-][{FOREIGN_SPACE}]")
_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
"""YAML 1.2's escape for JSON's sake, which libyaml knows and yaml.v3 does not."""


class YamlError(Exception):
    """YAML that cannot be used. `line` and `column` count from 1; 0 where the whole file is meant."""

    def __init__(self, found: str, line: int = 0, column: int = 0, remedy: str = "correct this line") -> None:
        super().__init__(found)
        self.found, self.line, self.column, self.remedy = found, line, column, remedy


@dataclass(slots=True)
class Node:
    """A value of a YAML document; an alias is the node that it names."""

    kind: str
    """scalar, sequence or mapping"""
    line: int
    column: int
    text: str = ""
    """Of a scalar."""
    quoted: bool = False
    """Whether a scalar is in quotes or a block: text whatever it looks like."""
    tag: str | None = None
    """The explicit tag, if any."""
    items: list["Node"] = field(default_factory=list)
    """Of a sequence; of a mapping: key, value, key, value."""
    size: int = 1
    """The number of values, this one included."""


def parse(text: str) -> Node | None:
    """The document of a YAML text; None for an empty one. Raises YamlError."""
    events = _events(text)
    next(events)  # the start of the stream
    if isinstance(next(events), yaml.StreamEndEvent):
        return None
    document = _Composer(events, text).node(next(events))
    next(events)  # the end of the document
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        line, column = _place(after)
        raise YamlError("a second document", line, column, "write one document: remove the line `---`")
    return document


def _events(text: str) -> Iterator[Any]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        if odd := _foreign_space(text, line):
            raise odd from None
        raise YamlError(str(error.problem or error.context), line, column) from None
    except yaml.reader.ReaderError as error:
        raise _unacceptable(text, error) from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(str(error).splitlines()[0], remedy="correct the file") from None


def foreign_space_found(char: str) -> str:
    """The words for one of FOREIGN_SPACE in a message."""
    return f"U+{ord(char):04X}, a character that looks like a space and is none"


def _foreign_space(text: str, line: int) -> YamlError | None:
    """The error of the last line up to `line` where such a character stands in place of a space."""
    for number, content in reversed(list(enumerate(re.split(r"\r\n|\r|\n", text)[:line], 1))):
        if found := _AS_SPACE.search(content):
            return YamlError(
                foreign_space_found(content[found.end() - 1]),
                number,
                found.end(),
                "write an ordinary space",
            )
    return None


def _unacceptable(text: str, error: Any) -> YamlError:
    """The error of a character that YAML does not allow."""
    raw = text.encode("utf-8", "surrogatepass")
    before = raw[: error.position].decode("utf-8", "replace") if isinstance(error.position, int) else ""
    line = before.count("\n") + 1
    return YamlError(
        "an unacceptable character: YAML allows no control characters",
        line,
        len(before) - before.rfind("\n"),
        'remove it, or write it as an escape in double quotes, such as "\\x1b"',
    )


class _Composer:
    """Makes nodes of events, and counts what Pulumi's parser counts."""

    def __init__(self, events: Iterator[Any], text: str) -> None:
        self._events, self._text = events, text
        self._anchors: dict[str, Node | None] = {}
        self._own, self._by_alias = 1, 0
        self._depth = 0

    def node(self, event: Any) -> Node:
        """The node that begins with `event`. Raises YamlError."""
        line, column = _place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line, column)
        self._count(line, column)
        if isinstance(event, yaml.ScalarEvent):
            if event.style == '"' and _SLASH.search(self._text, event.start_mark.index, event.end_mark.index):
                raise YamlError(
                    "the escape \\/, which Pulumi does not know", line, column, "write / without \\"
                )
            found = Node("scalar", line, column, event.value, event.style not in (None, ""), event.tag)
        else:
            kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
            found = Node(kind, line, column, tag=event.tag)
        if event.anchor:
            self._anchors[event.anchor] = None
        if found.kind != "scalar":
            self._fill(found)
        if event.anchor:
            self._anchors[event.anchor] = found
        return found

    def _fill(self, parent: Node) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise YamlError("values nested too deeply", parent.line, parent.column, "write plain values")
        while not isinstance(event := next(self._events), (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            child = self.node(event)
            parent.items.append(child)
            parent.size += child.size
        self._depth -= 1

    def _alias(self, name: str, line: int, column: int) -> Node:
        if name not in self._anchors:
            raise YamlError(f"the alias *{name} of an anchor that does not exist", line, column)
        target = self._anchors[name]
        if target is None:
            raise YamlError(f"the alias *{name} inside &{name}: a value that contains itself", line, column)
        self._by_alias += target.size
        self._count(line, column)
        return target

    def _count(self, line: int, column: int) -> None:
        self._own += 1
        total = self._own + self._by_alias
        if total > MAX_NODES:
            raise YamlError(f"more than {MAX_NODES} values", line, column, "write fewer values or aliases")
        if self._by_alias > max(ALIAS_MINIMUM, ALIAS_SHARE * total) and total > NODE_MINIMUM:
            raise YamlError("excessive aliases", line, column, "write the values instead of the aliases")


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
