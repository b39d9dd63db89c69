"""The kubeconfig of the commands for members."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from k3sgpu.cli.inputs import read_text

if TYPE_CHECKING:
    from lightkube import KubeConfig


def add_kubeconfig(parser: argparse.ArgumentParser) -> None:
    """Adds `--kubeconfig`."""
    parser.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="your kubeconfig; - is stdin; default: $KUBECONFIG, else ~/.kube/config",
    )


def member_config(options: argparse.Namespace) -> KubeConfig:
    """The kubeconfig that the options name, or that kubectl uses. Raises InputError."""
    from k3sgpu.cluster.client import parse_kubeconfig
    from k3sgpu.cluster.kubeconfig.file import kubeconfig_path

    file = options.kubeconfig or str(kubeconfig_path(os.environ, Path.home()))
    return parse_kubeconfig(*read_text(file))
