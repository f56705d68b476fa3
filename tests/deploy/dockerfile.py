"""A Dockerfile followed without Docker: its copies and commands, with each stage's root as a folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

RUN_WITHIN_S = 300
# A builder's commands make files that everyone may read, whatever the rights of this machine's user are.
UMASK = 0o022
INSTRUCTION = re.compile(r"(?P<name>[A-Z]+)\s+(?P<rest>.*)")
# The image's own folders, where a command names them; the rest of the machine stays as it is.
OWN_FOLDER = re.compile(r"(?<![\w.\-/])/(?=(?:app|venv|locks)\b)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of a Dockerfile, continuations joined."""

    name: str
    rest: str


@dataclass(slots=True)
class Stage:
    """What a stage has become so far: its files under root, its variables, what it starts."""

    root: Path
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    stop_signal: str = "SIGTERM"
    command: tuple[str, ...] = ()
    health_check: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The working folder on this machine."""
        return self.here(".")

    def here(self, path: str) -> Path:
        """Where a path of the image stands on this machine."""
        return self.root / PurePosixPath(self.folder, path).relative_to("/")


@dataclass(frozen=True, slots=True)
class ImageBuilder:
    """Follows a Dockerfile: context is what is copied from, scratch where the stages' roots are made.

    base: the folder of an interpreter with pip, which stands for the base image's.
    """

    context: Path
    scratch: Path
    base: Path

    def build(self) -> Stage:
        """Follow every instruction; return the last stage.

        raises  subprocess.CalledProcessError, FileNotFoundError; ValueError for an instruction that is not known here
        """
        stages: dict[str, Stage] = {}
        stage = Stage(self.scratch)
        for instruction in read_dockerfile(self.context / "Dockerfile"):
            match instruction.name:
                case "FROM":
                    _, _, name = instruction.rest.partition(" AS ")
                    stage = Stage(self.scratch / (name or "image"), environment={"PATH": f"{self.base}:/usr/bin:/bin"})
                    stages[name or "image"] = stage
                    stage.root.mkdir()
                case "COPY":
                    self._copy(stage, stages, instruction.rest)
                case "RUN":
                    self._run(stage, instruction.rest)
                case _:
                    _set(stage, instruction)
        return stage

    def _copy(self, stage: Stage, stages: Mapping[str, Stage], rest: str) -> None:
        words = shlex.split(rest)
        origin = self.context
        ignored = ignored_by(self.context / ".dockerignore")
        if words[0].startswith("--from="):
            origin, ignored = stages[words.pop(0).removeprefix("--from=")].root, []
        *sources, target = words
        for source in sources:
            found = origin / source.strip("/")
            assert not is_ignored(source.strip("/"), ignored), f"{source} never reaches the builder"
            if found.is_dir():
                skip = shutil.ignore_patterns("__pycache__") if ignored else None
                shutil.copytree(found, stage.here(target), symlinks=True, ignore=skip, dirs_exist_ok=True)
            else:
                place = stage.here(target) / found.name if target.endswith("/") else stage.here(target)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, place)  # with its rights, as a builder copies

    def _run(self, stage: Stage, command: str) -> None:
        stage.path.mkdir(parents=True, exist_ok=True)
        here = OWN_FOLDER.sub(f"{stage.root}/", command)
        environment = {**os.environ, **stage.environment}
        shell = ["/bin/sh", "-c", here]
        subprocess.run(shell, cwd=stage.path, env=environment, umask=UMASK, timeout=RUN_WITHIN_S, check=True)


def read_dockerfile(path: Path) -> Iterator[Instruction]:
    """Yield the instructions, without comments.

    raises  ValueError for a line that is none
    """
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        match = INSTRUCTION.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"not an instruction: {line}")
        yield Instruction(match["name"], match["rest"])


def ignored_by(path: Path) -> list[str]:
    """Return the patterns of a .dockerignore, in their order."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Tell whether the builder is not given this path; the last pattern that matches it or a parent decides."""
    parts = PurePosixPath(path)
    names = [str(parts), *(str(parent) for parent in parts.parents if str(parent) != ".")]
    ignored = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!").removeprefix("**/").rstrip("/")
        candidates = [
            part for name in names for part in ((name, PurePosixPath(name).name) if "**/" in pattern else (name,))
        ]
        if any(fnmatchcase(name, wanted) for name in candidates):
            ignored = not pattern.startswith("!")
    return ignored


def make_base(folder: Path) -> Path:
    """Make the interpreter with pip that stands for the base image's; return where its programs are."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], timeout=RUN_WITHIN_S, check=True)
    return folder / "bin"


def _set(stage: Stage, instruction: Instruction) -> None:
    """Follow an instruction that only changes what the image says of itself."""
    match instruction.name:
        case "WORKDIR":
            stage.folder = instruction.rest
        case "ENV":
            for setting in shlex.split(instruction.rest):
                name, _, value = setting.partition("=")
                value = value.replace("$PATH", stage.environment["PATH"])
                stage.environment[name] = OWN_FOLDER.sub(f"{stage.root}/", value)
        case "USER":
            stage.user = instruction.rest
        case "STOPSIGNAL":
            stage.stop_signal = instruction.rest
        case "CMD":
            stage.command = tuple(json.loads(instruction.rest))
        case "HEALTHCHECK":
            stage.health_check = tuple(json.loads(instruction.rest.partition(" CMD ")[2]))
        case "EXPOSE":
            pass
        case _:
            raise ValueError(f"what does {instruction.name} do?")
