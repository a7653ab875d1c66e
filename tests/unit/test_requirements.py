"""What the code imports is what pyproject.toml names: nothing is there by somebody else's grace."""

import ast
import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from resources.settings import PROJECT_ROOT

OURS = ("assets", "pipelines", "resources")


def imported():
    """The packages that our modules import, wherever in a module, by one that does."""
    found = {}
    for file in (file for folder in OURS for file in (PROJECT_ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            found |= {name.split(".")[0]: file.name for name in names}
    return {
        name: file
        for name, file in found.items()
        if name not in sys.stdlib_module_names and name not in OURS
    }


def test_what_is_imported_is_required():
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["encoders"], *extras["cluster"]]
    required = {canonicalize_name(Requirement(line).name) for line in lines}
    distributions = metadata.packages_distributions()
    missing = {}
    for name, file in imported().items():
        given = {canonicalize_name(one) for one in distributions.get(name, [name])}
        if not given & required:
            missing[name] = file
    assert missing == {}
