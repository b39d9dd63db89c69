"""References of container images, as github.com/distribution/reference reads them."""

import re
from typing import Annotated

from k3sgpu.settings.models.addresses import HOST_PORT
from k3sgpu.settings.models.grammar import Text, refusal

_REGISTRY = f"(?:(?=[^/]*[.:][^/]*/){HOST_PORT}|localhost)/"
"""A first part without a dot and without a port belongs to the repository's name."""
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = "(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})"
_REFERENCE = f"(?:{_REGISTRY})?{_COMPONENT}(?:/{_COMPONENT})*(?::{_TAG})?(?:@{_DIGEST})?"
_NAME_LIMIT = 255
_EXAMPLE = "write for instance nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"


def _remedy(text: str) -> str:
    """The advice to write a valid image that is similar: without https://, the repository in lower case."""
    folders, slash, name = text.rpartition("://")[2].strip().rpartition("/")
    repository, mark, version = re.fullmatch(r"([^:@]*)([:@]?)([\s\S]*)", name).groups()  # type: ignore[union-attr]
    meant = f"{(folders + slash + repository).lower()}{mark}{version}"
    return f"write {meant}" if re.fullmatch(_REFERENCE, meant) else _EXAMPLE


def _check_name_length(text: str) -> None:
    name = re.sub(rf":{_TAG}$", "", text.partition("@")[0])
    if len(name) > _NAME_LIMIT:
        raise refusal(f"an image whose name has at most {_NAME_LIMIT} characters", "correct the name")


Image = Annotated[
    str,
    Text(
        _REFERENCE,
        _NAME_LIMIT + len(":") + 128 + len("@sha512:") + 128,
        "a container image, REGISTRY/REPOSITORY:TAG with an optional @sha256:DIGEST, all but the tag in\n"
        "lower case",
        _remedy,
        further=_check_name_length,
    ),
]
