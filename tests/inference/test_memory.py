"""Memory of a prediction, measured in processes of their own."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from isal import isal_zlib

from liverspleen.imaging import read_grid
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.header import build

SCRIPT = Path(__file__).with_name("measured_memory.py")
MB, GB = 10**6, 10**9
SLICES, MATRIX = 1600, 512

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells its memory so"),
]


def measured(*words: object) -> int:
    run = subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return int(run.stdout.split()[-1])


def test_prediction_needs_at_most_100_mb_for_any_number_of_slices() -> None:
    few, many = measured("driver", 12, 1, 1.0), measured("driver", 100, 1, 1.0)
    assert many < 100 * MB
    assert many - few < 10 * MB  # 88 slices of float32 would be 92 MB, of int16 46 MB, of uint8 23 MB
    # the measure sees what is there: by hand 40 slices in a ring, a stack and logits are 40 * 7 * 1.05 = 294 MB
    assert measured("driver", 40, 40, 1.0) > 250 * MB


@pytest.mark.parametrize("words", [(), ("uint8",)])
def test_an_ensemble_needs_at_most_100_mb_beyond_its_maps_for_any_number_of_slices(words: tuple[str, ...]) -> None:
    few, many = measured("ensemble", 12, *words), measured("ensemble", 300, *words)
    assert many < 100 * MB
    assert many - few < 40 * MB  # 288 slices of the label map of one member would be 75 MB, of its softmax 906 MB


def test_distant_neighbours_need_memory_only_for_the_slices_between() -> None:
    # by hand: 2 * 10 + 1 slices of 1.05 MB in the ring in place of 3, 19 MB; all 60 slices would be 60 MB. On a busy
    # machine the kernel takes back pages, which changed one of the two by 10 MB
    near, far = measured("driver", 60, 1, 1.0), measured("driver", 60, 1, 10.0)
    assert 8 * MB < far - near < 40 * MB


def content(dtype: str, slope: float, intercept: float) -> Iterator[bytes]:
    """Header and slices of a NIfTI file that decode to -50, 0, 50 and 100 HU with some noise."""
    grid = Geometry((MATRIX, MATRIX, SLICES), np.diag([-0.7, -0.7, 0.6, 1.0]))
    header = bytearray(build(grid, np.dtype(dtype)))
    header[112:120] = struct.pack("<2f", slope, intercept)
    yield bytes(header)
    rng = np.random.default_rng(0)
    noise = rng.integers(-10, 10, (4, MATRIX, MATRIX))
    for slice_index in range(SLICES):
        hu = np.roll(noise[slice_index % 4], slice_index) + 50 * (slice_index % 4 - 1)
        yield ((hu - intercept) / slope).astype(dtype).tobytes()


@pytest.mark.parametrize(
    ("dtype", "slope", "intercept"), [("<i2", 1.0, 0.0), ("<i2", 2.0, -1024.0), ("<f4", 1.0, 0.0), ("<f8", 1.0, 0.0)]
)
def test_1600_slices_are_read_segmented_and_written_in_4_gb(
    tmp_path: Path, dtype: str, slope: float, intercept: float, record_property: Callable[[str, object], None]
) -> None:
    member = isal_zlib.compressobj(0, isal_zlib.DEFLATED, 31)
    with (tmp_path / "ct.nii.gz").open("wb") as handle:
        for part in content(dtype, slope, intercept):
            handle.write(member.compress(part))
        handle.write(member.flush())
    peak = measured("whole", tmp_path / "ct.nii.gz", tmp_path / "label.nii.gz")
    record_property("peak_gb", peak / GB)
    assert peak < 4 * GB
    assert read_grid(tmp_path / "label.nii.gz").shape == (MATRIX, MATRIX, SLICES)
