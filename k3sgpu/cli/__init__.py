"""The command line `python -m k3sgpu <command>`: one file a command, and main.py, which joins them."""
