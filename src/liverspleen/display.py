"""Progress of a run: one bar on a terminal; lines with the time in a file, a pipe or a notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, Final

BAR_S: Final = 0.2
"""Seconds between two states of a bar."""

LINE_S: Final = 60.0
"""Seconds between two lines."""


class Display:
    """A bar on stderr if that is a terminal; elsewhere lines with the local time.

    Args:
        total: number of items; None: unknown.
        text: first state; only a bar shows it.
        start: number of items that were finished before.
        line: prints a line, where stderr is no terminal.
    """

    def __init__(self, total: int | None, text: str, *, start: int = 0, line: Callable[[str], None]) -> None:
        self._line, self._shown, self._text = line, time.monotonic(), ""
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            form = "{desc}" if total is None else "{desc} |{bar}|"  # a narrow terminal has room for the text first
            size: dict[str, Any] = {"dynamic_ncols": True} if _has_size() else {"ncols": 80, "nrows": 24}
            self._bar = tqdm(total=total, initial=start, desc=text, file=sys.stderr, bar_format=form, **size)

    @property
    def is_bar(self) -> bool:
        """Whether the progress is a bar."""
        return self._bar is not None

    @property
    def due(self) -> bool:
        """Whether the next state should be shown: several times a second on a terminal, elsewhere once a minute."""
        return time.monotonic() - self._shown >= (BAR_S if self.is_bar else LINE_S)

    def show(self, done: int, text: str) -> None:
        """Show a state now; a line is not repeated."""
        self._shown = time.monotonic()
        if text == self._text:
            return
        self._text = text
        if self._bar is None:
            self._line(stamped(text))
        else:
            self._bar.n = done
            self._bar.set_description_str(text)

    def close(self) -> None:
        """End the bar; its last state stays on the terminal."""
        if self._bar is not None:
            self._bar.close()


def _has_size() -> bool:
    """Return whether the terminal states its size; that of some containers is 0."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return False


def beside_bar() -> AbstractContextManager[Any]:
    """Return a context in which a line can be printed: a bar on the terminal is removed, and drawn again below it."""
    tqdm = sys.modules.get("tqdm")
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode()


def stamped(line: str) -> str:
    """Return a line with the local time before it."""
    return f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, or fewer.

    >>> [duration(seconds) for seconds in (0.4, 59.6, 600, 3 * 3600 + 300, 86400 * 2.5, 86400 * 97)]
    ['0 s', '60 s', '10 min', '3 h 05 min', '2.5 days', '97 days']
    """
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    days = seconds / 86400
    return f"{minutes // 60} h {minutes % 60:02d} min" if days < 2 else f"{days:.{1 if days < 10 else 0}f} days"
