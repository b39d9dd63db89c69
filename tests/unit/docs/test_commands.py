"""Every command that the documentation shows is one that exists, with options that it knows."""

import importlib.util
import re
import shlex
from collections.abc import Iterator

import pytest

from k3sgpu.cli.main import COMMANDS, build_parser
from tests.unit.docs.pages import ROOT, Page, pages

# The subcommands of Pulumi's CLI that the documentation may use (pulumi --help of v3.259.0).
PULUMI = {
    ("cancel",),
    ("config",),
    ("config", "rm"),
    ("config", "set"),
    ("destroy",),
    ("install",),
    ("login",),
    ("preview",),
    ("refresh",),
    ("stack", "export"),
    ("stack", "history"),
    ("stack", "init"),
    ("stack", "output"),
    ("stack", "rm"),
    ("state", "unprotect"),
    ("up",),
}
OTHER_PROGRAMS = set(
    "cat cd cp curl echo git helm k3s kubectl mktemp mv policy/venv/bin/pip python3 rm systemctl tar umask"
    " gcc .ci/run".split()
)
REDIRECTIONS = {"<", ">", ">>"}
SEPARATORS = re.compile(r"[|;&()]+")
PYTHON = (".venv/bin/python", "python", "python3")


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command of a shell text: without variables in front and redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        tokens = [*lexer, ";"]
        skip = False
        for token in tokens:
            if skip or token in REDIRECTIONS:
                skip = token in REDIRECTIONS
            elif SEPARATORS.fullmatch(token):
                if words:
                    yield words
                words = []
            elif words or not re.match(r"[A-Za-z_]+=", token):
                words.append(token)


def shown() -> Iterator[tuple[Page, list[str]]]:
    """Commands of ```sh blocks, and those between backticks that begin like one."""
    for page in pages():
        if page.path == "CHANGELOG.md":  # names commands of the past
            continue
        for block in page.blocks("sh"):
            yield from ((page, words) for words in commands(block))
        for span in page.code_spans:
            if re.match(r"(make|pulumi|(\.venv/bin/)?python -m) [a-z]", span) and "…" not in span:
                yield from ((page, words) for words in commands(span))


SHOWN = [pytest.param(words, id=f"{page.path}: {shlex.join(words)}"[:100]) for page, words in shown()]


@pytest.mark.parametrize("words", SHOWN)
def test_command_in_the_documentation_exists(words: list[str]) -> None:
    program, *arguments = words
    if program == "env":
        return test_command_in_the_documentation_exists(arguments[2:])
    if program == "make":
        named = [word for word in arguments if "=" not in word]
        assert set(named) <= targets()
    elif program == "pulumi":
        plain = [word for word in arguments if not word.startswith("-")]
        assert tuple(plain[:1]) in PULUMI or tuple(plain[:2]) in PULUMI
    elif program in PYTHON and arguments[0] == "-m":
        module(arguments[1], arguments[2:])
    else:
        assert program in OTHER_PROGRAMS
    return None


def module(name: str, arguments: list[str]) -> None:
    """Checks `python -m name arguments`."""
    assert name in ("pytest", "venv") or importlib.util.find_spec(name), name
    if name == "k3sgpu" and arguments:
        build_parser().parse_args(arguments)


def test_a_shell_text_is_split_into_its_commands() -> None:
    text = "TMPDIR=$(mktemp -d) pulumi up --stack lab   # a comment\na | b < file && c"
    assert list(commands(text)) == [["mktemp", "-d"], ["pulumi", "up", "--stack", "lab"], ["a"], ["b"], ["c"]]


def test_every_command_of_the_program_is_documented() -> None:
    page = Page("docs/reference/cli.md").text
    assert {name.split()[0] for name in re.findall(r"^\| `(?!make )([a-z]+)", page, re.MULTILINE)} == set(
        COMMANDS
    )
