"""Memory and CPU time of a process, from Linux's /proc."""

import os
from pathlib import Path


def memory(process_id: int) -> int:
    """The resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(process_id: int) -> float:
    """User and system time of a process so far, all its threads."""
    # The name in parentheses may hold spaces; user and system time are fields 14 and 15 of all.
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
