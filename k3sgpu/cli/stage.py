"""For the Pulumi program: put the files of a k3s release on one host that cannot download them.

Reads the upload plan as JSON from K3SGPU_UPLOAD_PLAN, and the login secrets as a JSON object from stdin.
Exit status 1: the host does not have all files.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from k3sgpu.cli.inputs import read_json_variable
from k3sgpu.cli.output import print_progress, print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    """Uploads the files. Returns the exit status: 1 if the host does not have all of them."""
    from k3sgpu.handoff.release_upload import parse_upload_plan
    from k3sgpu.hosts.logins import logins_for, read_secrets
    from k3sgpu.hosts.release_upload import UploadError, upload_release

    plan = parse_upload_plan(read_json_variable("K3SGPU_UPLOAD_PLAN"))
    bastion = plan["bastion"]
    targets = [plan["host"], *([bastion] if bastion else [])]
    agent_socket = os.environ.get("SSH_AUTH_SOCK", "") if plan["agent"] else None
    logins = logins_for(targets, read_secrets(sys.stdin.read()), agent_socket)
    folder = Path(plan["release"]["folder"]).expanduser()
    try:
        print_text(asyncio.run(upload_release(plan, logins, folder)))
    except UploadError as error:
        print_progress(str(error))
        return 1
    return 0
