"""Build the site: `python -m website [OUTPUT]`, by default into `build/site`.

Links and anchors that lead nowhere are errors.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from website.configuration import configuration
from website.navigation import ENGLISH, ROOT, SPANISH
from website.stage import FILES, Stage


def build(output: Path) -> None:
    """Build all languages into a folder, which is replaced. Raises `CalledProcessError` after a failure."""
    shutil.rmtree(output, ignore_errors=True)
    with TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / FILES).mkdir()
        for language in (SPANISH, ENGLISH):
            Stage(language, scratch / language.code, scratch / FILES).write()
        for language in (ENGLISH, SPANISH):
            pages = scratch / language.code
            settings = scratch / f"{language.code}.yml"  # JSON is YAML
            settings.write_text(json.dumps(configuration(language, pages)))
            _run_zensical(settings)
            shutil.copytree(scratch / f"site-{language.code}", output / language.folder, dirs_exist_ok=True)
        shutil.copytree(scratch / FILES, output / FILES)


def _run_zensical(settings: Path) -> None:
    program = Path(sys.executable).parent / "zensical"
    command = [str(program), "build", "--strict", "--config-file", str(settings)]
    subprocess.run(command, cwd=settings.parent, check=True)  # noqa: S603 - fixed command


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/site"
    try:
        build(target.resolve())
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(str(error))
    print(f"{target}/index.html")  # noqa: T201 - the result of the command
