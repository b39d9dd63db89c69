"""Print the SHA-256 hashes of a k3s release as lines for the stack file.

Hashes come from the release's files and its own checksum lists, from nowhere else.
Exit status 1: some hash could not be read and is left out; stderr says why.
"""

import argparse

from k3sgpu.cli.arguments import add_json
from k3sgpu.cli.output import print_json, print_progress, print_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", help="the release, for instance v1.36.2+k3s1")
    parser.add_argument("--mirror", help="the address of a mirror, as k3s.mirror in the stack file")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the hashes. Returns the exit status: 1 if one could not be read.

    Raises SettingsError for a wrong version or mirror.
    """
    from k3sgpu.settings.files import release_pins

    k3s = release_pins.release(options.version, options.mirror)
    script, binaries, unread = release_pins.pins(k3s, release_pins.read)
    if options.json:
        print_json({"installScriptSha256": script, "binarySha256": binaries, "leftOut": unread})
    else:
        print_text(release_pins.stack_file_lines(k3s, script, binaries))
        for line in unread:
            print_progress(f"left out: {line}")
    return 1 if unread else 0
