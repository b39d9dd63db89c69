"""Questions on a terminal. Each has a flag, which a run without a terminal needs instead."""

import getpass
import sys

from k3sgpu.cli.output import print_question
from k3sgpu.problem import InputError


def on_terminal() -> bool:
    """Whether somebody can be asked: questions go to stderr, answers come from stdin."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, flag: str) -> str:
    """The answer to a question, in lower case. Without a terminal raises InputError, which names the flag."""
    if not on_terminal():
        raise InputError(f"{question} There is no terminal to ask on: pass {flag}")
    print_question(question)
    return sys.stdin.readline().strip().lower()


def ask_secret(question: str, flag: str) -> str:
    """As `ask`, without showing what is typed, and as it was typed."""
    if not on_terminal():
        raise InputError(f"{question} There is no terminal to ask on: pass {flag}")
    return getpass.getpass(f"{question} ", stream=sys.stderr)
