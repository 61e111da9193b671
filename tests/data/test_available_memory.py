"""The memory that is available, and the memory that a process has used."""

import subprocess
import sys
from pathlib import Path

import pytest

from liverspleen.data.memory import available_bytes


def machine(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_available_memory_is_that_of_the_kernel_less_a_tenth(tmp_path: Path) -> None:
    system = machine(tmp_path, {"proc/meminfo": "MemTotal: 900 kB\nMemAvailable: 500 kB\n"})
    assert available_bytes(system) == 450 * 1024


def test_the_tightest_control_group_limits_memory(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/jobs"
    system = machine(
        tmp_path,
        {
            "proc/meminfo": "MemAvailable: 500000 kB\n",
            "proc/self/cgroup": "0::/jobs/one\n",
            f"{group}/one/memory.max": "max\n",
            f"{group}/one/memory.current": "7\n",
            f"{group}/one/memory.stat": "inactive_file 3\n",
            f"{group}/memory.max": "1000\n",
            f"{group}/memory.current": "400\n",
            f"{group}/memory.stat": "anon 300\ninactive_file 100\n",
        },
    )
    assert available_bytes(system) == 630  # 0.9 x (1000 - 400 + 100)


def test_limits_of_the_first_version_of_control_groups_count_too(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory"
    system = machine(
        tmp_path,
        {
            "proc/meminfo": "MemAvailable: 500000 kB\n",
            "proc/self/cgroup": "5:cpu:/\n4:memory:/\n",
            f"{group}/memory.limit_in_bytes": "2000\n",
            f"{group}/memory.usage_in_bytes": "1000\n",
            f"{group}/memory.stat": "cache 0\n",
        },
    )
    assert available_bytes(system) == 900


def test_the_peak_is_that_of_the_process_alone() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is measured by Linux's /proc")
    held = bytearray(b"1" * (200 << 20))  # of this process, which starts the other
    code = """
from liverspleen.data.memory import peak_bytes
before = peak_bytes()
block = bytearray(b"1" * (100 << 20))
print(before, peak_bytes())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert before < 150 << 20 < len(held)
    assert 95 << 20 < after - before < 250 << 20
