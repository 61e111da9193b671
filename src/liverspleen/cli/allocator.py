"""The C library's allocator, told to keep what a step gives back: activation maps are met again at the next one."""

from __future__ import annotations

import ctypes
import os
import platform

# mallopt(3), /usr/include/malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_OWN_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")


def keep_pages() -> bool:
    """Let glibc keep freed blocks of any size for the next allocation; True if it will.

    By default a block above 32 MiB is a mapping of its own: it goes back to the kernel when it is freed, and its pages
    are faulted in and cleared again when the next block of that size is asked for. A feature map of 512 x 512 sections
    is such a block, and a training step makes hundreds. No number changes by it; the process keeps its peak memory.

    To be called before the first large allocation. Nothing is done without glibc, or where the environment already
    tunes the allocator (`MALLOC_...`, `GLIBC_TUNABLES`).

    Source: mallopt(3): M_MMAP_MAX 0 means no mappings for large blocks, M_TRIM_THRESHOLD -1 no trimming.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(_OWN_SETTINGS) for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
