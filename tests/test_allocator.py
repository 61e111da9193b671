"""The allocator setting, measured by the pages that the kernel provides for a block that is allocated again."""

import os
import platform
import subprocess
import sys

import pytest

PAGES = 10_000  # of 4 KiB: 40 MB, above the largest block that glibc keeps by itself
ISSUES = f"""
import ctypes, resource
from liverspleen.processes import keep_pages
{{setting}}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
def touch():
    block = libc.malloc({PAGES} * 4096)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    ctypes.memset(block, 1, {PAGES} * 4096)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
touch()
print(touch())
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")


def issues(setting: str, **environment: str) -> int:
    """Page issues when a block is touched that was given back before."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    code = ISSUES.format(setting=setting)
    words = [sys.executable, "-c", code]
    run = subprocess.run(words, capture_output=True, text=True, check=True, env=plain | environment)
    return int(run.stdout)


@glibc
def test_a_freed_block_is_not_faulted_in_again() -> None:
    assert issues("pass") >= PAGES // 2  # the kernel may map several pages at an issue
    assert issues("assert keep_pages()") < PAGES // 100


@glibc
def test_settings_of_the_environment_are_not_changed() -> None:
    assert issues("assert not keep_pages()", MALLOC_TOP_PAD_="131072") >= PAGES // 2
