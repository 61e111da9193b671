"""The URL of a study's database."""

from __future__ import annotations

import re


def without_password(url: str | None) -> str | None:
    """Return a database URL with each password replaced by `***`, before the host and in the query."""
    if url is None:
        return None
    scheme, slashes, rest = url.partition("://")
    login, at, host = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    host = host if at else re.sub(r"^([^:/]*):(?!\d*(/|$))[^/]*", r"\1:***", host)  # user:password without a host
    shown = f"{scheme}{slashes}{user}{':***' if colon else ''}{at}{host}"
    return re.sub(r"(?i)(pass\w*|pwd)=[^&]*", r"\1=***", shown)
