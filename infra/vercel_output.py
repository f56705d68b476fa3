"""What `vercel build` wrote: the bundles with their files and settings, the routes between them and the crons."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAIN_FILE = "vc__handler__python.py"


class BuildMissing(Exception):
    """There is no build, or not a whole one; the message says how to make it."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One function as it would be uploaded; files: its path in the bundle to where it stands on this machine."""

    name: str
    files: Mapping[str, Path]
    environment: Mapping[str, str]
    time_limit_s: int

    @property
    def size_bytes(self) -> int:
        """How much the bundle takes where it runs, unzipped."""
        return sum(path.stat().st_size for path in self.files.values())


@dataclass(frozen=True, slots=True)
class BuiltRoute:
    """One rewrite as it was built: what the path must match and which bundle then answers."""

    pattern: re.Pattern[str]
    service: str


@dataclass(frozen=True, slots=True)
class VercelOutput:
    """The whole build; crons: the path that is called to its schedule."""

    bundles: tuple[Bundle, ...]
    routes: tuple[BuiltRoute, ...]
    crons: Mapping[str, str]


def read_output(project: Path) -> VercelOutput:
    """Read what was built in a project's folder.

    raises  BuildMissing
    """
    output = project / ".vercel" / "output"
    if not (output / "config.json").exists():
        raise BuildMissing(f"nothing is built in {output}; build it: python -m infra.vercel_build")
    config = json.loads((output / "config.json").read_text())
    names = sorted(service["name"] for service in config["services"])
    return VercelOutput(
        bundles=tuple(_read_bundle(project, output / "services" / name, name) for name in names),
        routes=tuple(
            BuiltRoute(re.compile(route["src"]), route["destination"]["service"])
            for route in config["routes"]
            if "src" in route
        ),
        crons={cron["path"]: cron["schedule"] for cron in config.get("crons", [])},
    )


def _read_bundle(project: Path, folder: Path, name: str) -> Bundle:
    functions = sorted(folder.rglob("*.func"))
    if len(functions) != 1:
        raise BuildMissing(f"{folder} holds {len(functions)} functions, not one; look at the build's own output")
    (function,) = functions
    settings: dict[str, Any] = json.loads((function / ".vc-config.json").read_text())
    # Most files are only named here; what the build wrote itself stands beside the settings.
    files = {path: project / source for path, source in settings["filePathMap"].items()}
    own = (path for path in function.rglob("*") if path.is_file() and path.name != ".vc-config.json")
    files |= {path.relative_to(function).as_posix(): path for path in own}
    return Bundle(name, files, settings.get("environment", {}), settings["maxDuration"])
