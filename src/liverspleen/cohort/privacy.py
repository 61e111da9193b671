"""Redaction of errors that may contain patient names: files by their hashes, unexpected errors by their type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from liverspleen.cohort.identity import Identity
from liverspleen.errors import InputError


class RedactedError(Exception):
    """An unexpected error without its text, which may contain a name."""


@contextmanager
def redacted_errors(identity: Identity | None, activity: str) -> Iterator[None]:
    """Redact errors raised in the block: hashed file names, and only the type of unexpected errors.

    `activity`, such as `importing`, is part of the message. Without an identity errors are not changed. If
    LIVERSPLEEN_TRACEBACK is set, unexpected errors are not changed either.

    >>> with redacted_errors(Identity(b"key"), "reading"):
    ...     raise ValueError("Smith^John")
    Traceback (most recent call last):
    ...
    liverspleen.cohort.privacy.RedactedError: ValueError while reading
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
    except Exception as error:  # its text may contain a name
        if identity is None or os.environ.get("LIVERSPLEEN_TRACEBACK") or isinstance(error, RedactedError):
            raise
        redacted = RedactedError(f"{type(error).__name__} while {activity}")
        raise redacted.with_traceback(error.__traceback__) from None
