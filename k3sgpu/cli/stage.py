"""For the Pulumi program: put the files of a k3s release on one host that cannot download them.

Reads the upload plan as JSON from K3SGPU_UPLOAD_PLAN, and the login secrets as a JSON object from stdin.
Exit status 1: the host has not got all files.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from k3sgpu.cli.inputs import print_progress, read_json_variable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    """1 when the host has not got all files."""
    from k3sgpu.hosts.logins import logins_for, read_secrets
    from k3sgpu.hosts.release_upload import UploadError, upload_release

    plan = read_json_variable("K3SGPU_UPLOAD_PLAN")
    ends = {"hosts": [plan["host"]], "bastion": plan["bastion"], "agent": plan["agent"]}
    logins = logins_for(ends, read_secrets(sys.stdin.read()), os.environ.get("SSH_AUTH_SOCK", ""))
    try:
        print(asyncio.run(upload_release(plan, logins, Path(plan["release"]["folder"]).expanduser())))
    except UploadError as reason:
        print_progress(str(reason))
        return 1
    return 0
