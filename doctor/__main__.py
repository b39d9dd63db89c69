"""The command line: python -m doctor hosts|cluster."""

import sys

from doctor.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
