"""The entry point of `python -m k3sgpu <command>`."""

import sys

from k3sgpu.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
