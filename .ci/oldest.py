"""The oldest versions that pyproject.toml allows, as constraints for pip: `>=` becomes `==`."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
wanted = [*project["dependencies"], *extras["web"], *extras["log"], *extras["datasets"]]
for requirement in wanted:
    found = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
    assert found, f"{requirement} names no oldest version"
    print(f"{found[1]}=={found[2]}")
