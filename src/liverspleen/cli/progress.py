"""Progress bars of the verbs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress(name: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on stderr; call what is yielded with the case that is done."""
    pause_s = 0.1 if sys.stderr.isatty() else 10.0  # a log file needs no hundred lines
    with tqdm(total=total, desc=name, unit="case", mininterval=pause_s, dynamic_ncols=True) as bar:

        def advance(case_id: str) -> None:
            bar.set_postfix_str(case_id, refresh=False)
            bar.update()

        yield advance
