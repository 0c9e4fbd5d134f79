"""The memory of processes that share pages, as those of one relay do."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_SIZE: Final = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of a process and of its forks. Pages that they share count once.

    The kernel knows this of their own pages. Of the pages of files, such as libraries, the largest share
    counts: other programs use them, too, and forks use the same. For one process it is its resident set.
    """
    own, of_files = 0, 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            sizes = dict(_SIZE.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()))
            own += int(sizes["Pss_Anon"])
            of_files = max(of_files, int(sizes["Rss"]) - int(sizes["Anonymous"]))
    return 1024 * (own + of_files)
