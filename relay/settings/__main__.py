"""Write `docs/settings.md` to standard output: `python -m relay.settings > docs/settings.md`."""

import sys

from relay.settings.docs import render_markdown

if __name__ == "__main__":
    sys.stdout.write(render_markdown())
