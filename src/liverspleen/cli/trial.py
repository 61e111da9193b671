"""A training that is a trial of a sweep: `python -m liverspleen.cli.trial train key=value ...`.

It is asked to stop when the process that started it is gone, which holds the other end of its standard input: so no
trial is trained on behind the back of the worker that comes next.
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
    os.kill(os.getpid(), signal.SIGTERM)  # the training saves its step and ends


if __name__ == "__main__":
    Thread(target=_stop_with_worker, daemon=True).start()
    sys.argv[0] = "liverspleen"  # run.json tells the command that anybody can give again
    entry()
