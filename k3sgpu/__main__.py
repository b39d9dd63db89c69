"""The command line: python -m k3sgpu <command>."""

import sys

from k3sgpu.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
