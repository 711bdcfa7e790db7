"""`python -m alpyna`: see alpyna_hook/cli.py."""

import sys

from alpyna_hook.cli import main

if __name__ == "__main__":
    sys.exit(main(command="python -m alpyna"))
