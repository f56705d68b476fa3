"""A job as a command.

python -m functions.scheduled settlement_sweep
"""

import argparse
import asyncio
import json
import sys

from functions.scheduled.jobs import JOBS, run_job
from functions.scheduled.resources import open_resources


async def run(name: str) -> dict[str, str | int]:
    """Run one job with the variables of this process."""
    async with open_resources() as resources:
        return await run_job(resources, name)


def main() -> None:
    """Print what the job did; a job that fails ends the command with its error."""
    parser = argparse.ArgumentParser(prog="python -m functions.scheduled")
    parser.add_argument("job", choices=sorted(JOBS))
    sys.stdout.write(json.dumps(asyncio.run(run(parser.parse_args().job))) + "\n")


if __name__ == "__main__":
    main()
