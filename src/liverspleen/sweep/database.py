"""The URL of a study's database, which may contain a password."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from liverspleen.credentials import without_credentials

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

NOT_STORED: Final = "<database URL not stored>"
"""Replaces a URL whose password cannot be removed with certainty."""

_PLAIN: Final = re.compile(r"[\w.+-]*")
_HOST: Final = re.compile(r"[\w.,-]*|[0-9a-fA-F:]+")
_QUERY_KEYS: Final = {
    *("application_name", "charset", "client_encoding", "connect_timeout", "driver", "host", "port", "sslmode"),
    *("target_session_attrs", "timeout", "unix_socket"),
}
_QUERY_VALUE: Final = re.compile(r"[\w./, +-]*")
_LARGEST_PORT: Final = 65535


def without_password(url: str | None) -> str | None:
    """Return a database URL as files and messages may contain it: its password is `***`.

    A URL is returned only if SQLAlchemy parses it and each part has its usual form, because a mistyped or encoded URL
    can have its password in any part; otherwise `NOT_STORED`.

    >>> without_password("postgresql://me:secret@host:5432/sweeps?sslmode=require")
    'postgresql://me:***@host:5432/sweeps?sslmode=require'
    >>> without_password("postgresql:/me:secret@host/sweeps"), without_password("nothing://me%3Asecret@host/sweeps")
    ('<database URL not stored>', '<database URL not stored>')
    """
    if url is None:
        return None
    parsed = _parsed(url)
    return NOT_STORED if parsed is None else parsed.render_as_string(hide_password=True)


def may_contain_password(url: str | None) -> bool:
    """Return whether a URL has a password, or may have one that cannot be found."""
    return url is not None and ((parsed := _parsed(url)) is None or bool(parsed.password))


def without_url(arguments: Sequence[str], url: str | None) -> list[str]:
    """Return a command line without passwords; `url` is the value of `storage=` in it."""
    shown = f"storage={without_password(url)}"
    return [shown if one.startswith("storage=") else without_credentials(one) for one in arguments]


def reason_of(url: str, error: Exception) -> str:
    """Return the first line of an error of the database, or only its type if the line may contain the password."""
    name = f"{type(error).__name__}, whose text is not shown because it may contain the password"
    if (parsed := _parsed(url)) is None:
        return name
    text = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
    text = text.replace(url, f"{parsed.drivername}:...")
    return name if parsed.password and str(parsed.password) in text else text


def _parsed(url: str) -> URL | None:
    """Return a URL whose parts all have their usual form; None for any other text."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    return parsed if all(_usual_parts(parsed)) else None


def _usual_parts(url: URL) -> Iterator[bool]:
    """Yield for each part of a URL but the password whether it has its usual form."""
    yield bool(_PLAIN.fullmatch(url.username or ""))
    yield bool(_HOST.fullmatch(url.host or ""))
    yield 0 <= (url.port or 0) <= _LARGEST_PORT
    database = url.database or ""
    is_file = url.get_backend_name() == "sqlite" and not url.host
    yield not (":" in database and "@" in database) if is_file else bool(_PLAIN.fullmatch(database))
    for key, value in url.query.items():
        values = [value] if isinstance(value, str) else value
        yield key in _QUERY_KEYS and all(_QUERY_VALUE.fullmatch(one) for one in values)
