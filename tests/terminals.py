"""A pseudo-terminal as standard output and error of this process."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Callable

import pytest


def on_terminal(run: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *, columns: int = 100) -> str:
    """Call `run` with a terminal as stdout and stderr, and return what it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30 if columns else 0, columns, 0, 0))
    written: list[bytes] = []

    def read() -> None:
        while True:
            try:
                found = os.read(master, 65536)
            except OSError:  # the other end is closed
                return
            if not found:
                return
            written.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setattr(sys, "stderr", terminal)
        run()
    reader.join()
    os.close(master)
    return b"".join(written).decode("utf-8")
