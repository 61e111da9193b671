"""How long does a folder of cases take with several processes, and how much memory does each process need?

    python benchmarks/evaluation/folder.py

Measures volumes, overlap and surfaces of a hundred pairs of label maps (512 x 512 x 80, .nii.gz; one pair under many
names), with one process and with one per core. Prints JSON: seconds, the ratio, and the largest resident memory of a
process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from phantom import SPACING_MM, label_pair

CASES = 100


def write_pairs(folder: Path) -> None:
    """Write one pair, and link it under many names."""
    from liverspleen.imaging import Geometry, LabelMap, write_label_map

    for name, labels in zip(("test", "reference"), label_pair(), strict=True):
        depth, rows, columns = labels.shape
        grid = Geometry((columns, rows, depth), np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0]))
        (folder / name).mkdir()
        first = folder / name / "000.nii.gz"
        write_label_map(first, LabelMap(labels, grid))
        for case in range(1, CASES):
            os.link(first, folder / name / f"{case:03d}.nii.gz")


def measured(folder: Path, workers: int) -> dict[str, float]:
    """Return seconds and the largest resident memory of a process, of a measurement in a separate process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, __file__, str(folder), str(workers)], check=True)
    seconds = time.perf_counter() - start
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": round(seconds, 2), "largest_process_mb": round(peak_kib / 1024)}


def main() -> None:
    """Measure and print; with a folder and a number of workers, run the measurement that is timed."""
    from liverspleen.evaluation import measure_folder

    if len(sys.argv) == 3:
        folder = Path(sys.argv[1])
        found = measure_folder(folder / "test", reference=folder / "reference", workers=int(sys.argv[2]))
        assert len(found.rows) == CASES * 4
        return
    with tempfile.TemporaryDirectory() as temporary:
        write_pairs(Path(temporary))
        cores = os.cpu_count() or 1
        one, several = measured(Path(temporary), 1), measured(Path(temporary), cores)
    result = {"cases": CASES, "one_process": one, f"{cores}_processes": several}
    print(json.dumps({**result, "ratio": round(one["seconds"] / several["seconds"], 2)}, indent=2))


if __name__ == "__main__":
    main()
