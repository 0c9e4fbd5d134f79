"""`python -m relay` and the console script run the command `relay`."""

import gc
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command. An interrupt during the import of its modules has the exit code of any other."""
    # Modules are kept: to search them for garbage takes a twelfth of a start. `LazyGroup` enables it again.
    gc.disable()
    try:
        from relay.cli.main import main as run  # noqa: PLC0415 - an import at the top could not be guarded

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
