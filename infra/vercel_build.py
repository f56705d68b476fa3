"""Build what Vercel would build, on this machine and without an account.

python -m infra.vercel_build

The output stands in .build/vercel/.vercel/output.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.vercel_output import BuildMissing, read_output

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / ".build" / "vercel"
VERCEL = ROOT / "infra" / "deploy" / "node_modules" / ".bin" / "vercel"

BUILD_WITHIN_S = 600
LIST_WITHIN_S = 60
# A project that Vercel does not know: enough for a build, which asks nobody.
PROJECT_SETTINGS = {
    "projectId": "prj_local",
    "orgId": "team_local",
    "projectName": "ai-gateway",
    "settings": {"framework": None, "nodeVersion": "22.x"},
}
# What the build may know of its surroundings: where packages are had, and nothing of an account.
INHERITED = ("LANG", "LC_ALL", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")
INHERITED_PREFIXES = ("UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class BuildFailed(Exception):
    """The bundles could not be built; the message says why and what to do."""


def build(project: Path = PROJECT, vercel: Path = VERCEL) -> None:
    """Copy the sources, build every service and put the result into the folder, in place of an older one.

    The build runs outside of the checkout: within it the command climbs to the checkout's own vercel.json.

    raises  BuildFailed
    """
    for program, remedy in (
        (vercel, "install it: make package, or npm ci in infra/deploy"),
        (_bin_folder() / "uv", "install it into the environment: make package"),
    ):
        if not program.exists():
            raise BuildFailed(f"{program} is missing; {remedy}")
    with tempfile.TemporaryDirectory() as scratch:
        built, home = Path(scratch) / "project", Path(scratch) / "home"
        home.mkdir()
        _copy_sources(built)
        (built / ".vercel").mkdir()
        (built / ".vercel" / "project.json").write_text(json.dumps(PROJECT_SETTINGS))
        _run_vercel(vercel, built, home)
        shutil.rmtree(project, ignore_errors=True)
        shutil.move(built, project)


def list_sources(root: Path = ROOT) -> list[str]:
    """Return the files that `vercel deploy` would send: the working tree's, less what the two ignore files name.

    An empty repository stands in for ours, so that a tree without one is read alike.

    raises  BuildFailed
    """
    with tempfile.TemporaryDirectory() as scratch:
        git = ("git", f"--git-dir={scratch}/empty.git")
        listing = ("ls-files", "--others", "--exclude-standard", "--exclude-from=.vercelignore", "-z")
        try:
            for command in ((*git, "init", "--quiet"), (*git, f"--work-tree={root}", *listing)):
                finished = subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=LIST_WITHIN_S)
        except FileNotFoundError as error:
            raise BuildFailed("git is not installed; the build asks it which files are ignored") from error
        except subprocess.SubprocessError as error:
            raise BuildFailed(f"git could not list the files: {error}") from error
    return sorted(finished.stdout.decode().removesuffix("\0").split("\0"))


def _copy_sources(project: Path) -> None:
    for name in list_sources():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, project / name)


def _run_vercel(vercel: Path, project: Path, home: Path) -> None:
    try:
        finished = subprocess.run(
            (str(vercel), "build", "--yes"),
            cwd=project,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"vercel build took more than {BUILD_WITHIN_S} s") from error
    if finished.returncode != 0:
        raise BuildFailed(f"vercel build failed:\n{finished.stdout}")


def _environment(home: Path) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }
    return inherited | {
        "PATH": os.pathsep.join((str(_bin_folder()), os.environ.get("PATH", os.defpath))),
        "HOME": str(home),
        "UV_PYTHON_DOWNLOADS": "never",
        "VERCEL_TELEMETRY_DISABLED": "1",
        "NO_UPDATE_NOTIFIER": "1",
    }


def _bin_folder() -> Path:
    """Return where this environment's python3.12 and uv stand."""
    return Path(sys.prefix) / "bin"


def main() -> None:
    """Build, and print what each bundle weighs."""
    try:
        build()
        bundles = read_output(PROJECT).bundles
    except (BuildFailed, BuildMissing) as error:
        raise SystemExit(f"infra.vercel_build: {error}") from error
    for bundle in bundles:
        print(f"vercel  {bundle.name:<12} {bundle.size_bytes / 1e6:6.1f} MB unzipped  {len(bundle.files):5d} files")


if __name__ == "__main__":
    main()
