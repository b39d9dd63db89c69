"""A person's own kubeconfig, and one stack's entries in it: `python -m k3sgpu kubeconfig --help`."""

from k3sgpu.cluster.kubeconfig.entries import Unusable, merged, removed
from k3sgpu.cluster.kubeconfig.file import FileRefused, edit, path_of

__all__ = ["FileRefused", "Unusable", "edit", "merged", "path_of", "removed"]
