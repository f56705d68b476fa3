"""The catcher as a program.

python -m infra.local.mail_catcher --port N
"""

import argparse

from aiohttp import web

from infra.local.mail_catcher.app import Catcher
from infra.local.ports import LOOPBACK


def main() -> None:
    """Read the command line and serve on loopback."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.mail_catcher")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    web.run_app(Catcher().app(), host=LOOPBACK, port=port, access_log=None, print=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()
