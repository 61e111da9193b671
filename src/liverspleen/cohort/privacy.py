"""What is told where names must stay inside: files by their hashes, and of unexpected errors only the kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from liverspleen.cohort.identity import Identity
from liverspleen.errors import InputError


class HiddenError(Exception):
    """Stands for an error whose text must not be told."""


@contextmanager
def private(identity: Identity | None, doing: str) -> Iterator[None]:
    """Errors that leave the block tell files by their hashes, and of unexpected ones only the kind.

    `doing` is what fails then, such as `importing`. Without an identity names may be told, and errors pass. With
    LIVERSPLEEN_TRACEBACK set, unexpected ones pass too.

    >>> with private(Identity(b"key"), "reading"):
    ...     raise ValueError("Smith^John")
    Traceback (most recent call last):
    ...
    liverspleen.cohort.privacy.HiddenError: ValueError while reading
    """
    try:
        yield
    except InputError as error:
        if identity is None:
            raise
        raise InputError(identity.issue(issue) for issue in error.issues) from None
    except OSError as error:
        if identity is None or os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        name = identity.path(str(error.filename)) if error.filename is not None else None
        raise OSError(error.errno, error.strerror or type(error).__name__, name) from None
    except Exception as error:  # its text may hold a name
        if identity is None or os.environ.get("LIVERSPLEEN_TRACEBACK") or isinstance(error, HiddenError):
            raise
        hidden = HiddenError(f"{type(error).__name__} while {doing}")
        raise hidden.with_traceback(error.__traceback__) from None
