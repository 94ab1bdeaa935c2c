"""What `mpremote mip install` takes is what the library consists of."""

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_package_json_names_every_module_of_the_library_and_nothing_else() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    modules = {path.relative_to(ROOT / "lib").as_posix() for path in (ROOT / "lib" / "ujobs").rglob("*.py")}
    assert {target for target, _ in package["urls"]} == modules
    assert all(source == f"lib/{target}" for target, source in package["urls"])
    assert ["umqtt.simple", "latest"] in package["deps"]


def test_versions_agree() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package["version"] == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()
