"""Loads models in a process that may write no file, and tells what each took; run by a test.

Reads JSON from stdin: `warm` (whether the network libraries are there before), `models`, a list of path and engine.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path

_REPORTED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class")


def peak_mb() -> float:
    """Return the peak memory of this process; that of getrusage would include the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def main() -> None:
    begin = time.process_time()
    asked = json.load(sys.stdin)
    if asked["warm"]:  # torch and timm start processes and make folders while they are imported
        import timm  # noqa: F401
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a process that writes to a file is killed
    events: list[str] = []
    sys.addaudithook(lambda event, _: events.append(event) if event in _REPORTED else None)
    from liverspleen.errors import InputError
    from liverspleen.inference.model import load_model

    for path, engine in asked["models"]:
        lines: list[str] = []
        try:
            load_model(path, engine=engine)
        except InputError as error:
            lines = [str(issue) for issue in error.issues]
        found = {
            "lines": lines,
            "seconds": time.process_time() - begin,
            "peak_mb": peak_mb(),
            "torch": "torch" in sys.modules,
            "events": [*events],
        }
        sys.stdout.write(json.dumps(found) + "\n")
        begin = time.process_time()
        events.clear()


if __name__ == "__main__":
    main()
