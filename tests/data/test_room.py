"""Memory known beforehand: estimates against what a process really took, and how many processes fit."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort.manifest import Case
from liverspleen.data.cache import cache_case
from liverspleen.data.room import available_bytes, case_cost, noting_cost, plan

SHAPE = (224, 192, 128)  # 5.5 million voxels, 11 MB of HU
SLACK = 32 << 20

MEASURE = """
import sys
from pathlib import Path
from liverspleen.cohort.checks import load_case
from liverspleen.cohort.manifest import Case
from liverspleen.data.cache import cache_case
image, label, cache, pixel = sys.argv[1:]
case = Case("a", "a", Path(image), Path(label))
def kib(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])
before = kib("VmRSS")
cache_case(case, Path(cache), pixel_mm=float(pixel) or None)
print((kib("VmHWM") - before) * 1024)
"""


def written(folder: Path, dtype: type, slope: float, label_dtype: type) -> Case:
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    rng = np.random.default_rng(0)
    values = (rng.normal(0, 100, SHAPE) if dtype is not np.uint16 else rng.integers(0, 2000, SHAPE)).astype(dtype)
    image = nib.nifti1.Nifti1Image(values, affine)
    image.header.set_slope_inter(slope, 0.0 if slope == 1 else -24.0)
    labels = np.zeros(SHAPE, label_dtype)
    labels[50:100, 50:100, 20:90], labels[120:150, 50:100, 20:90] = 1, 2
    nib.save(image, folder / "a.nii.gz")
    nib.save(nib.nifti1.Nifti1Image(labels, affine), folder / "a_label.nii.gz")
    return Case("a", "a", folder / "a.nii.gz", folder / "a_label.nii.gz")


@pytest.mark.parametrize(
    ("dtype", "slope", "label_dtype", "pixel_mm"),
    [
        (np.int16, 1.0, np.uint8, 0.0),
        (np.int16, 1.0, np.uint8, 0.5),
        (np.int16, 2.0, np.uint8, 0.0),
        (np.float32, 1.0, np.float64, 0.0),
        (np.uint16, 1.0, np.int16, 2.0),
    ],
)
def test_a_case_takes_what_its_headers_say_at_most_and_not_far_less(
    tmp_path: Path, dtype: type, slope: float, label_dtype: type, pixel_mm: float
) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is measured by Linux's /proc")
    case = written(tmp_path, dtype, slope, label_dtype)
    words = [str(case.image), str(case.label), str(tmp_path / "cache"), str(pixel_mm)]
    run = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, text=True, check=True)
    real, told = int(run.stdout), case_cost(case, pixel_mm=pixel_mm or None)
    assert real <= told.memory_bytes
    assert real >= 0.5 * (told.memory_bytes - SLACK)
    on_disk = sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file())
    assert on_disk <= told.disk_bytes <= on_disk + (1 << 17)


def test_the_voxels_of_a_test_case_take_the_memory_of_its_image(tmp_path: Path) -> None:
    case = written(tmp_path, np.int16, 1.0, np.uint8)
    voxels = int(np.prod(SHAPE))
    # whole HU and a plane of the file, which is read block by block
    assert 2 * voxels <= noting_cost(case).memory_bytes - SLACK <= 2.2 * voxels


def test_stored_size_follows_the_matrix(tmp_path: Path) -> None:
    case = written(tmp_path, np.int16, 1.0, np.uint8)
    voxels = int(np.prod(SHAPE))
    cache_case(case, tmp_path / "cache", pixel_mm=2.0)
    half = case_cost(case, pixel_mm=2.0).disk_bytes
    assert voxels <= half - 3 * voxels // 4 <= voxels + (1 << 17)  # native labels, and 3 bytes for each of a quarter


@pytest.mark.parametrize(
    ("peaks", "available", "most", "processes"),
    [
        ([10, 10, 10, 10], 1000, 8, 4),  # no more than cases
        ([10, 10, 10, 10], 1000, 2, 2),  # than asked for
        ([10, 10, 10, 10], 33, 8, 3),  # than fit: 3 x (10 + 1)
        ([10, 10, 10, 10], 32, 8, 2),
        ([30, 1, 1, 1], 36, 8, 3),  # the largest at once: 30 + 1 + 1 + 3, and not 4 x 31
        ([30], 5, 8, 1),
        ([], 5, 8, 1),
    ],
)
def test_as_many_processes_as_fit(peaks: list[int], available: int, most: int, processes: int) -> None:
    found = plan(peaks, available=available, base=1, most=most)
    assert found.processes == processes
    assert found.all_bytes == sum(sorted(peaks)[-processes:]) + processes


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
