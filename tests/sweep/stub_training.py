"""Replaces `liverspleen train` in tests of workers: `behave=` sets how it ends, `steps=` how long it takes.

Like a training, it resumes where it was stopped or killed. It records every start.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Thread


def stop_with_worker() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(overrides: Mapping[str, str]) -> int:
    run, behave, steps = Path(overrides["output"]), overrides["behave"], int(overrides.get("steps", 3))
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    Thread(target=stop_with_worker, daemon=True).start()

    def record(status: str) -> None:
        content = {"status": status, "device": "cpu", "measured": {"validation_seconds_per_slice": 0.25}}
        (run / "run.json").write_text(json.dumps(content))

    with (run / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if behave == "reject":
        print("LS-CFG-007: a network needs an odd number of slices, not 2; choose another network=")
        record("rejected")
        return 2
    if behave == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if behave == "crash":
        print("something\nlast line")
        return 1
    score = float(overrides.get("dss", 0.5))
    metrics = run / "metrics.csv"
    first = len(metrics.read_text().splitlines()) if metrics.exists() else 0
    for step in range(first, steps):
        time.sleep(0.1)
        with metrics.open("a") as rows:
            rows.write(f"{step},val/dss,{score}\n")
        if stop:
            print("LS-RUN-002: interrupted; run the same command to resume")
            record("failed")
            return 1
    dss = {"empty": "", "infinite": "inf"}.get(behave, str(score))
    table = ["case_id,structure,dss,volume_cm3,reference_cm3", f"c0,liver,{dss},110.0,90.0", f"c0,spleen,{dss},0.0,0.0"]
    (run / "validation.csv").write_text("\n".join(table) + "\n")
    record("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(dict(argument.split("=", 1) for argument in sys.argv[1:])))
