"""Run a module as a program, and record its time; needs no package, so it runs in each environment.

    python clocked.py TIME.json MODULE [ARGUMENT ...]

The file has the seconds of wall time and of processor time (with ended worker processes) from the start to the end. It
is written every five seconds, so that a killed program loses at most the last ones; a later run adds to it.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import threading
import time
from pathlib import Path

EVERY_S = 5.0


def main(file: Path, module: str, arguments: list[str]) -> None:
    """Run the module with these arguments, and record its time in the file."""
    earlier = json.loads(file.read_text("utf-8")) if file.exists() else {"wall_s": 0.0, "processor_s": 0.0}
    began, ended = time.monotonic(), threading.Event()

    def record() -> None:
        own = {"wall_s": time.monotonic() - began, "processor_s": sum(os.times()[:4])}
        part = file.with_suffix(".part")
        part.write_text(json.dumps({key: earlier[key] + own[key] for key in own}), "utf-8")
        part.replace(file)

    def repeat() -> None:
        while not ended.wait(EVERY_S):
            record()

    clock = threading.Thread(target=repeat, daemon=True)
    clock.start()
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        ended.set()
        clock.join()
        record()


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
