"""Build the Lambda zips of all functions into .build/lambda/<architecture> and print their sizes.

python -m infra.package [--architecture arm64|x86_64] [--with otel] [group …]
"""

import argparse
import sys

from infra.package.build import BUILD_FOLDER, Zip, build_zips
from infra.package.dependencies import ARCHITECTURES
from infra.package.failure import PackageError
from infra.package.groups import OPTIONAL_GROUPS, ROOT, find_groups

MB = 1_000_000


def main() -> int:
    """Build; the exit status says whether every zip is there."""
    parser = argparse.ArgumentParser(prog="python -m infra.package")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="arm64", help="of the functions on AWS")
    parser.add_argument(
        "--with", choices=OPTIONAL_GROUPS, action="append", default=[], dest="extras", help="packages beside its own"
    )
    parser.add_argument("groups", nargs="*", metavar="group", help="a folder in functions/; without one, all")
    arguments = parser.parse_args()
    try:
        groups = find_groups(arguments.groups)
        extra_locks = [ROOT / "infra" / "requirements" / f"{name}.txt" for name in arguments.extras]
        zips = build_zips(groups, architecture=arguments.architecture, extra_locks=extra_locks)
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{BUILD_FOLDER.name}/lambda/{arguments.architecture}")
    print_sizes(zips)
    return 0


def print_sizes(zips: list[Zip]) -> None:
    """Print one line per zip."""
    print(f"  {'group':<16}{'unzipped MB':>12}{'zip MB':>8}{'files':>7}")
    for built in zips:
        unzipped, zipped = built.unzipped_bytes / MB, built.path.stat().st_size / MB
        print(f"  {built.group:<16}{unzipped:>12.1f}{zipped:>8.1f}{built.files:>7}")


if __name__ == "__main__":
    sys.exit(main())
