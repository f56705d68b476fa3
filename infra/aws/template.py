"""What serverless.yml says of each function, for those who need to know before it is deployed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "serverless.yml"


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    """One function's block; parameters are what it reads from Parameter Store, environment what is set beside them."""

    group: str
    parameters: tuple[str, ...]
    environment: Mapping[str, str]
    block: Mapping[str, Any]

    @property
    def logical_name(self) -> str:
        """With what osls begins the names of the function's resources."""
        return self.group[0].upper() + self.group[1:].replace("_", "Underscore")


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Read a YAML file of CloudFormation: `!Ref x` becomes {"Ref": x}, as osls does it, and ${…} stays as it is."""
    content: dict[str, Any] = yaml.load(path.read_text(), _loader())
    return content


def read_functions() -> dict[str, DeployedFunction]:
    """Return every function by its group."""
    return {group: _function(group, block) for group, block in read_template()["functions"].items()}


def _function(group: str, block: dict[str, Any]) -> DeployedFunction:
    given = dict(block["environment"])
    parameters = tuple(name.strip() for name in given.pop("PARAMETERS").split(","))
    # What CloudFormation puts there, such as a bucket's name, is some text.
    environment = {name: each if isinstance(each, str) else json.dumps(each) for name, each in given.items()}
    return DeployedFunction(group, parameters, environment, block)


def _loader() -> type[yaml.SafeLoader]:
    """Return a loader that knows the short forms of CloudFormation's functions."""

    class CloudFormationLoader(yaml.SafeLoader):  # type: ignore[misc]
        """SafeLoader with one more constructor; on SafeLoader itself it would be everybody's."""

    CloudFormationLoader.add_multi_constructor("!", _construct)
    return CloudFormationLoader


def _construct(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    key = name if name in ("Ref", "Condition") else f"Fn::{name}"
    if isinstance(node, yaml.ScalarNode):
        text: str = loader.construct_scalar(node)
        return {key: text.split(".", 1) if name == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {key: loader.construct_sequence(node, deep=True)}
    return {key: loader.construct_mapping(node, deep=True)}
