"""Memory: how much is available, and how much this process has used."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_RESERVE = 0.1  # of the available memory: other processes grow too
_UNKNOWN_PEAK_BYTES = 2 << 30


def available_bytes(system: Path = Path("/")) -> int:
    """Return the memory available without swapping, within the control groups of this process, minus a reserve.

    Without /proc (not Linux): half of the machine's memory.
    """
    found = []
    with suppress(OSError, StopIteration, ValueError):
        lines = (system / "proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    if not found:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return int(min([*found, *_group_bytes(system)]) * (1 - _RESERVE))


def _group_bytes(system: Path) -> list[int]:
    """Return the free memory of each control group of this process; inactive page cache counts as free."""
    try:
        groups = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, used = system / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, used = system / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = root / path.strip("/")
        for group in [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]:
            with suppress(OSError, ValueError):  # no limit reads `max`
                stat = dict(row.split() for row in (group / "memory.stat").read_text().splitlines())
                free = int((group / limit).read_text()) - int((group / used).read_text())
                found.append(max(free + int(stat.get("inactive_file", 0)), 0))
    return found


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far; 2 GiB without /proc (not Linux).

    The value of getrusage is not used: it begins with the memory of the process that started this one.
    """
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    return _UNKNOWN_PEAK_BYTES
