"""The oldest versions that pyproject.toml allows, as constraints for pip: `>=` becomes `==`."""

import re
import tomllib
from pathlib import Path

OF_THEIR_TIME = ["pyarrow==18.0.0", "pandas==2.2.3", "huggingface-hub==0.26.0"]
"""What the oldest `datasets` brings; the newest PyArrow refuses NumPy 1, and pip does not know."""

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["web"], *extras["log"], *extras["datasets"]]:
    found = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
    if not found:
        raise SystemExit(f"{requirement} must name its oldest version by >=")
    print(f"{found[1]}=={found[2]}")
print(*OF_THEIR_TIME, sep="\n")
