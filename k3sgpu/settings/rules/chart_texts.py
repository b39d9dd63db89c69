"""Rules of all texts in gpuOperator.values, at any depth."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from k3sgpu.problem import Problem
from k3sgpu.settings.model_paths import Loc, dotted
from k3sgpu.settings.models.containers import NOT_IN_TEXT
from k3sgpu.settings.models.secret_texts import SECRET_NAME, TEXT_WITH_SECRET
from k3sgpu.settings.rules.draft import Draft

_NOT_TEXT = re.compile(f"[{NOT_IN_TEXT}]")


def values_hold_no_secret(draft: Draft) -> Iterator[Problem]:
    """Refuse a URL with a password, a private key, and a variable whose name is that of a secret."""
    for loc in _secrets(draft.settings.gpu_operator.values, ("gpuOperator", "values")):
        yield Problem(
            dotted(loc),
            "a secret in plain text (not shown)",
            "no secret: Helm's values can be read in the stack file, the state and the cluster",
            "make a Secret in the namespace gpu-operator, and name it where the chart takes one,\n"
            "such as driver.secretEnv or imagePullSecrets",
        )


def texts_can_be_stored(draft: Draft) -> Iterator[Problem]:
    """Refuse control characters and lone surrogates: neither YAML nor a variable can hold them."""
    values = draft.settings.gpu_operator.values
    for loc, text in _texts(values, ("gpuOperator", "values")):
        if wrong := _NOT_TEXT.search(text):
            yield Problem(
                dotted(loc),
                f"the character U+{ord(wrong[0]):04X}",
                "characters that can be printed, blanks and line breaks",
                "remove the character",
            )


def _texts(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """All texts inside a value, and the keys of its mappings, with their places."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield loc, key
            yield from _texts(inner, (*loc, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*loc, index))


def _secrets(value: Any, loc: Loc) -> Iterator[Loc]:
    """The places of all secrets inside a value."""
    if isinstance(value, str) and re.fullmatch(TEXT_WITH_SECRET, value):
        yield loc
    elif isinstance(value, Mapping):
        name, text = value.get("name"), value.get("value")
        if isinstance(name, str) and text and re.fullmatch(SECRET_NAME, name):
            yield (*loc, "value")
        else:
            for key, inner in value.items():
                yield from _secrets(inner, (*loc, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secrets(inner, (*loc, index))
