"""What storing a case takes of memory and disk, known from headers before a voxel is read; and what there is."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from liverspleen.cohort.manifest import Case
    from liverspleen.imaging.header import Layout

_SLACK_BYTES = 32 << 20  # of the allocator and of single slices, whatever the case
_FOLDER_BYTES = 64 << 10  # case.json, present.npy, headers and half-filled blocks of the disk
_KEPT_FREE = 0.1  # of the memory that is available: others grow too


@dataclass(frozen=True)
class Cost:
    """Bytes of memory at the peak of storing a case, beside what the process holds anyway; and bytes on disk."""

    memory_bytes: int
    disk_bytes: int


def case_cost(case: Case, *, pixel_mm: float | None = None) -> Cost:
    """What it takes at most to store a case of the training or the validation side.

    Raises:
        InputError: a header cannot be read.
    """
    from liverspleen.data.resampling import resampled_matrix
    from liverspleen.imaging.nifti import read_layout

    image = read_layout(case.image, case_id=case.case_id)
    slices, rows, columns = image.geometry.canonical_shape
    matrix = resampled_matrix((rows, columns), image.geometry.spacing_mm[1:], pixel_mm)
    voxels, cached = slices * rows * columns, slices * math.prod(matrix)
    peaks = [_ct_peak(image)]
    if case.label is not None:
        label = read_layout(case.label, case_id=case.case_id)
        peaks.append(2 * voxels + _label_peak(label, case.label))  # the HU are held meanwhile
    peaks.append(3 * voxels + (0 if matrix == (rows, columns) else 3 * cached))
    return Cost(max(peaks) + _SLACK_BYTES, 3 * cached + (voxels if matrix != (rows, columns) else 0) + _FOLDER_BYTES)


def noting_cost(case: Case) -> Cost:
    """What it takes at most to note the voxels of a test case.

    Raises:
        InputError: the header cannot be read.
    """
    from liverspleen.imaging.nifti import read_layout

    return Cost(_ct_peak(read_layout(case.image, case_id=case.case_id)) + _SLACK_BYTES, 4096)


def _content_peak(layout: Layout, file: Path) -> int:
    """Stored bytes, and the content twice: once in the members of a gzip file, once together."""
    return file.stat().st_size + 2 * layout.content_bytes


def _working(layout: Layout) -> np.dtype[Any]:
    """Data type of the numbers once slope and intercept are applied."""
    return layout.dtype if (layout.slope, layout.intercept) == (1.0, 0.0) else np.dtype(np.float64)


def _ct_peak(layout: Layout) -> int:
    """As `read_ct` goes: whole HU, and a plane in the file's numbers; of scaled or rounded ones copies and masks."""
    kind = _working(layout)
    copies = 0 if np.can_cast(kind, np.int16) else 4 * kind.itemsize + 3
    plane = math.prod(layout.geometry.shape[:2])
    return 2 * math.prod(layout.geometry.shape) + 2 * layout.plane_bytes + plane * copies


def _label_peak(layout: Layout, file: Path) -> int:
    """As `read_label_map` goes: content, scaled copies, masks of the known values, labels."""
    voxels, kind = math.prod(layout.geometry.shape), _working(layout)
    copies = 0 if kind == layout.dtype else 2 * kind.itemsize
    return max(_content_peak(layout, file), layout.content_bytes + voxels * (copies + 3))


@dataclass(frozen=True)
class Plan:
    """How many processes work at once, and how many bytes each of them and all together hold at most."""

    processes: int
    each_bytes: int
    all_bytes: int


def plan(peaks: Sequence[int], *, available: int, base: int, most: int) -> Plan:
    """As many processes as fit: however they meet, even the largest cases at once stay within `available`.

    Each process holds `base` and the peak of one case. `peaks` are those of cases that fit alone; `most` processes.

    >>> plan([60, 10, 50], available=130, base=5, most=8)
    Plan(processes=2, each_bytes=65, all_bytes=120)
    """
    largest = sorted(peaks, reverse=True)
    count = max(1, min(most, len(peaks)))
    while count > 1 and sum(largest[:count]) + count * base > available:
        count -= 1
    return Plan(count, (largest[0] if largest else 0) + base, sum(largest[:count]) + count * base)


def available_bytes(system: Path = Path("/")) -> int:
    """Memory to be had without swapping, within the limits of the control groups of this process, less a reserve.

    Where the kernel does not tell (not Linux): half of the machine's memory.
    """
    found = []
    with suppress(OSError, StopIteration, ValueError):
        lines = (system / "proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    if not found:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return int(min([*found, *_group_bytes(system)]) * (1 - _KEPT_FREE))


def _group_bytes(system: Path) -> list[int]:
    """What each control group above this process has left; of its page cache what is not in use counts as free."""
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
                left = int((group / limit).read_text()) - int((group / used).read_text())
                found.append(max(left + int(stat.get("inactive_file", 0)), 0))
    return found


def resident_bytes() -> int:
    """What this process holds; a fresh one that only stores cases holds no more."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 256 << 20
