"""Standard output and standard error that never stop a run.

A reader may leave (`| head -1`), the stream may be closed, its disk may be full, and its encoding may be narrow.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, Final

from liverspleen.errors import Issue

_LEFT: Final = (errno.EPIPE, errno.EBADF)


class _Stream(io.FileIO):
    """A standard stream that is discarded after its first error."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.lost = error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return super().write(data)


def with_utf8_names() -> None:
    """Start this program again in Python's UTF-8 mode if file names have another encoding here.

    A cohort may name files with any character. The printed text keeps the encoding of the terminal.
    """
    if os.name != "posix" or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    encoding = getattr(sys.stdout, "encoding", "utf-8")
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": f"{encoding}:backslashreplace"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def protect() -> None:
    """Replace both streams; a character that the encoding does not have is written as an escape."""
    if os.name != "posix":  # a console of Windows is no file
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # closed streams; else a file would get their numbers
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdout, sys.stderr = _protected(1, sys.stdout), _protected(2, sys.stderr)


def _protected(number: int, stream: Any) -> io.TextIOWrapper:
    """Return the stream of a descriptor with the encoding and buffering of `stream`, which is None if it was closed."""
    lines = stream is None or stream.line_buffering or stream.write_through
    encoding = "utf-8" if stream is None else stream.encoding
    file = io.BufferedWriter(_Stream(number, "wb", closefd=False))
    return io.TextIOWrapper(file, encoding, "backslashreplace", line_buffering=lines)


def finished(code: int, *, text_only: bool) -> int:
    """Write what is buffered, and return the exit code of a run that ends with `code`.

    A reader that has left is no error. If the text is lost for another reason, LS-RUN-006 is printed; it is an error if
    the text is the only result.
    """
    sys.stdout.flush()
    lost = getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "lost", None)
    if lost is None or lost.errno in _LEFT:
        return code
    hint = "write it to another place, and run the same command again" if text_only else "write it to another place"
    issue = Issue("LS-RUN-006", f"the printed text is lost ({lost.strerror})", hint)
    print(issue if text_only else f"warning: {issue}", file=sys.stderr)
    return code or int(text_only)
