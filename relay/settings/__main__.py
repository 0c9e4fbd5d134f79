"""`python -m relay.settings` writes the documentation of the settings."""

import sys

from relay.settings.docs import markdown

if __name__ == "__main__":
    sys.stdout.write(markdown())
