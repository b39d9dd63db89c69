"""Many YAML documents, made of scalars, of syntax forms and of mutated stack files, alike in every run."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCALARS = r"""
0 1 -1 +1 00 01 -01 010 08 0777 0x10 0X1F -0x1f +0x1F 0x 0xg 0o17 0O17 -0o17 0o8 0b11 -0b11 0B1 0b2
1_000 1__0 1_ _1 0x_1F 0_7 0o_17 1e3 1E3 1e+3 1e-3 1e 1e400 1e-400 -1e3 1.5e3 1e21 1e22 .5 -.5 +.5
5. .5. .5e1 ._5 .5_0 . .. ...x 0.1 1.0 -0 -0.0 0.0 1.50 00.5 010.5 123456789012 9007199254740992
9007199254740993 -9007199254740993 18446744073709551615 18446744073709551616
99999999999999999999999999 0xFFFFFFFFFFFFFFFFFF 0.30000000000000004 1.7976931348623157e308 5e-324
1.0e-7 123.456e-5 .nan .NaN .NAN .Nan nan NaN .inf .Inf .INF -.inf +.inf inf Infinity true True TRUE
tRUE false False FALSE yes Yes no No on On off Off y n Y N null Null NULL nULL ~ none None
2020-01-01 2020-1-1 2020-13-01 2020-02-30 20-01-01 2020-01-01x 2020-01-01T00:00:00Z
2020-01-01t1:2:3Z 2020-01-01T00:00:00.5+01:00 2020-01 2020-01-01-2 12:30 1:30:45 190:20:30 1.2.3
10.0.0.1 1.2.3.4/16 v1.36.2+k3s1 a:b a:b:c http://x/y a#b x=y = << <<x '' "" '~' "null" 'true' "010"
'1e3' "2020-01-01" 'it''s' "a\tb" "a\nb" "\x41" "\u00e9" "\U0001F600" "\ud800" "\0" "\x1b" "\e" "\_"
"\N" "\L" "\P" "\/" "\\/" "\q" é ü 日本 😀 !!str !x @x `x %x &a *a ? - : ?x -x :x --- -- +- + - e1 E5
0e1 0e0 1e0 1e1_0 0.1.2 +0 ++1 -+1 1-1 1+1 5% 1,000 $HOME ${x} \x ~/x ~x ^x |x >x 1k 0m 1Gi 0x1p-2
0b 0o 0_ 0__ 0x1_ -_1 -.5_ 1_.5 ١ １ ² ½
""".split()
SCALARS += [
    *("!!str 5", "!!str 010", "!!int 5", "!!int '5'", "!!int ''", "!!float 1", "!!float 1.5", "!!bool yes"),
    *("!!bool true", "!!null ''", "!!binary aGk=", "!!timestamp 2020-01-01", "!local x", "! 5", "!!seq []"),
    *("!!map {}", "!!set {a, b}", "2020-01-01 00:00:00", "2020-01-01 x", "a b", "a  b", "a # b", "'a # b'"),
    *("a, b", "{a b", "x}", "[x", "x]", "a\u00a0b", "\u2028x", "!!str\u00a05"),
]
"""Scalars as they are written, right and wrong."""

FORMS = (
    "{0}",
    "[{0}, {1}]",
    "{{a: {0}, b: {1}}}",
    "\n  a: {0}\n  b: {1}",
    "\n- {0}\n- {1}",
    "\n  - {0}\n  -   {1} # text",
    "\n  {0}: {1}",
    "\n  {0}: {1}\n  {1}: {0}",
    "{{{0}: {1}}}",
    "\n  ? {0}\n  : {1}",
    "\n  a: &a {0}\n  b: *a",
    "\n  a: &a {{x: {0}, y: 1}}\n  b: {{<<: *a, y: {1}}}",
    "\n  a: &a {{x: {0}}}\n  c: &c {{x: {1}, z: 2}}\n  b: {{<<: [*a, *c], y: 1}}",
    "\n  b: {{y: 1, <<: {{{0}: 2}}}}",
    "\n  <<: {{a: {0}}}\n  a: {1}",
    "\n  &k {0}: {1}\n  b: *k",
    "|\n  {0}\n   {1}\n",
    ">-\n  {0}\n  {1}\n\n  x",
    "|+\n  {0}\n\n",
    '"{0}\n  {1}"',
    "'{0}\n  {1}'",
    "{0}\n  {1}",
    "\n  a:\n  - {0}\n  - - {1}\n    - x: {0}\n      y: {1}",
    "\n  a: {0}   # text\n\n  # more\n  b:\t{1}",
    "[{0},\n  {1},]",
    '{{"a":{0}, "b" : {1}}}',
    "[a: {0}, {1}]",
    "{{a, b: {0}}}",
    "\n  secure: {0}",
    "\n  secure: {0}\n  more: {1}",
)
"""Values of a key; each stands behind `key:`."""


def values(count: int, seed: int = 1) -> Iterator[str]:
    """`count` values of keys, each as the text behind `key: `."""
    yield from SCALARS[:count]
    chance = random.Random(seed)
    for _ in range(count - len(SCALARS)):
        yield chance.choice(FORMS).format(chance.choice(SCALARS), chance.choice(SCALARS))


def stack_files() -> list[str]:
    """The example stack files and those of the reports, as far as they are UTF-8."""
    paths = [*sorted(ROOT.glob("Pulumi.*.yaml")), *sorted(ROOT.glob("tests/data/reported/*.yaml"))]
    texts = [path.read_bytes() for path in paths if path.stem != "latin1" and path.stat().st_size < 10_000]
    return [text.decode() for text in texts]


PIECES = [
    *(" ", "  ", "\n", "\n  ", "\t", ":", ": ", "- ", "#", " #", "'", '"', "|", ">", "&a ", "*a"),
    *("{", "}", "[", "]"),
    *(",", "<<: ", "!!str ", "? ", "%", "@", "`", "---\n", "...\n", "\u00a0", "\ufeff", "\x85"),
    *("\u2028", "\x00"),
    *("\x7f", "é", "0", "_", ".", "e", "~", "null", "\\", "\r\n", "\r"),
]


def mutated(count: int, seed: int = 1) -> Iterator[str]:
    """`count` stack files with one to three changes of a few characters, a word or a line."""
    chance, texts = random.Random(seed), stack_files()
    for _ in range(count):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 3)):
            text = _changed(text, chance)
        yield text


def _changed(text: str, chance: random.Random) -> str:
    start = chance.randrange(len(text))
    kind = chance.randrange(5)
    if kind == 0:  # remove some characters
        return text[:start] + text[start + chance.randint(1, 4) :]
    if kind == 1:  # add a piece
        return text[:start] + chance.choice(PIECES) + text[start:]
    lines = text.split("\n")
    number = chance.randrange(len(lines))
    if kind == 2:  # another value
        lines[number] = re.sub(r": [^#]*", lambda _: f": {chance.choice(SCALARS)} ", lines[number], count=1)
    elif kind == 3:  # a line twice, or elsewhere
        lines.insert(chance.randrange(len(lines)), lines[number])
    else:  # another indentation
        lines[number] = " " * chance.randint(0, 8) + lines[number].lstrip()
    return "\n".join(lines)
