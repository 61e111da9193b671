"""Stands for `liverspleen train` in tests of the workers: `behave=` says how it ends, `steps=` how long it takes.

It goes on where it was stopped or killed, and notes every start, as a training does.
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


def main(said: Mapping[str, str]) -> int:
    run, behave, steps = Path(said["output"]), said["behave"], int(said.get("steps", 3))
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    Thread(target=stop_with_worker, daemon=True).start()

    def record(status: str) -> None:
        about = {"status": status, "device": "cpu", "measured": {"validation_seconds_per_slice": 0.25}}
        (run / "run.json").write_text(json.dumps(about))

    with (run / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if behave == "reject":
        print("LS-CFG-007: a network needs an odd number of slices, not 2; choose another network=")
        record("rejected")
        return 2
    if behave == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if behave == "crash":
        print("something\nlast words")
        return 1
    score = float(said.get("dss", 0.5))
    metrics = run / "metrics.csv"
    begun = len(metrics.read_text().splitlines()) if metrics.exists() else 0
    for step in range(begun, steps):
        time.sleep(0.1)
        with metrics.open("a") as rows:
            rows.write(f"{step},val/dss,{score}\n")
        if stop:
            print("LS-RUN-002: interrupted; run the same command to go on")
            record("failed")
            return 1
    dss = {"empty": "", "infinite": "inf"}.get(behave, str(score))
    table = ["case_id,structure,dss,volume_cm3,reference_cm3", f"c0,liver,{dss},110.0,90.0", f"c0,spleen,{dss},0.0,0.0"]
    (run / "validation.csv").write_text("\n".join(table) + "\n")
    record("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(dict(word.split("=", 1) for word in sys.argv[1:])))
