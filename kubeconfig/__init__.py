"""A person's own kubeconfig, and one stack's entries in it: `python -m kubeconfig --help`."""

from .entries import Unusable, merged, removed
from .file import FileRefused, edit, path_of

__all__ = ["FileRefused", "Unusable", "edit", "merged", "path_of", "removed"]
