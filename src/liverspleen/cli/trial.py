"""Run a training as a trial of a sweep: `python -m liverspleen.cli.trial train key=value ...`.

The training stops when the process that started it ends, which has the other end of its standard input. So no trial
continues after another worker has adopted it.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from liverspleen.cli.main import entry


def _stop_with_worker() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # the training saves its last step and ends


if __name__ == "__main__":
    Thread(target=_stop_with_worker, daemon=True).start()
    sys.argv[0] = "liverspleen"  # run.json has a command that can be run again
    entry()
