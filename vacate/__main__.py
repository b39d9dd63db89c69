"""The command line: python -m vacate leave|return."""

import sys

from vacate.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
