"""The Terraform folders as data: their blocks, and what their expressions refer to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

from infra.local.stack import ROOT

TERRAFORM_FOLDER = ROOT / "infra" / "terraform"
FOLDERS = sorted({path.parent for path in TERRAFORM_FOLDER.rglob("*.tf")})
FILES = sorted(TERRAFORM_FOLDER.rglob("*.tf"))

COMMENT = re.compile(r"#.*")
# A reference begins a name; after a dot or inside a word it is something else's part.
REFERENCE = re.compile(
    r"(?<![\w.\"])((?:var|local|module|data|[a-z]+_[a-z_0-9]+)(?:\.[a-z][a-z_0-9]*)+)", re.IGNORECASE
)
QUOTED = re.compile(r'"([^"\\]|\\.)*"')
INTERPOLATION = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class TerraformFolder:
    """One folder, which Terraform reads as one text."""

    path: Path

    @property
    def text(self) -> str:
        """Every file of it, without comments."""
        return "\n".join(COMMENT.sub("", path.read_text()) for path in sorted(self.path.glob("*.tf")))

    @property
    def blocks(self) -> dict[str, list[Any]]:
        """Its blocks by kind."""
        return dict(unquoted(hcl2.loads(self.text)))

    def named(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the blocks that carry one name: variable, output, module, provider."""
        return {name: body for block in self.blocks.get(kind, []) for name, body in block.items()}

    def typed(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the blocks that carry a type and a name, by `type.name`: resource, data."""
        return {
            f"{type_name}.{name}": body
            for block in self.blocks.get(kind, [])
            for type_name, bodies in block.items()
            for name, body in bodies.items()
        }

    @property
    def locals(self) -> dict[str, Any]:
        """Its local values, as expressions."""
        return {name: value for block in self.blocks.get("locals", []) for name, value in block.items()}

    @property
    def required_providers(self) -> dict[str, dict[str, str]]:
        """Source and version of each provider."""
        (settings,) = self.blocks["terraform"]
        (providers,) = settings["required_providers"]
        return {name: body for name, body in providers.items() if isinstance(body, dict)}

    @property
    def references(self) -> set[str]:
        """What its expressions refer to: `var.name`, `data.aws_partition.current`, `module.stores.project_ref`."""
        return {reference for code in self._code() for reference in REFERENCE.findall(code)}

    def _code(self) -> Iterator[str]:
        """The text without what is quoted, and what is interpolated within the quotes."""
        text = self.text
        yield QUOTED.sub('""', text)
        for literal in QUOTED.finditer(text):
            yield from INTERPOLATION.findall(literal.group())


def unquoted(value: Any) -> Any:
    """Take the quotes from literals and names; an expression stays `${…}`."""
    if isinstance(value, dict):
        return {unquoted(name): unquoted(body) for name, body in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [unquoted(item) for item in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value
