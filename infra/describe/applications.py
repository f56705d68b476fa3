"""The applications of all functions, in one process; here alone they meet."""

import importlib

from fastapi import FastAPI

from infra.package.groups import find_groups


def load_applications() -> dict[str, FastAPI]:
    """Return every function's application by its group."""
    return {group.name: importlib.import_module(f"functions.{group.name}.app").app for group in find_groups()}
