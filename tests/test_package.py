"""What is shipped: the program, and nothing of its tests."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_program_and_nothing_else(tmp_path: Path) -> None:
    line = ["-m", "uv", "build", "--wheel", "--quiet", "--offline", "--no-build-isolation"]
    subprocess.run([sys.executable, *line, "--out-dir", tmp_path, ROOT], check=True, timeout=60)  # noqa: S603 - our own
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "app.py",
        "relay",
        "crm_clients",
        "cloudtalk_relay",
    }
    assert {"crm_clients/conformance/__init__.py", "relay/py.typed", "crm_clients/py.typed"} <= set(names)
