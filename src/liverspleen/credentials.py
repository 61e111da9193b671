"""Arguments of a command line without the passwords that they may contain, for messages and records."""

from __future__ import annotations

import re
from typing import Final

NOT_SHOWN: Final = "<not shown>"
"""Replaces text that may contain a password."""

_LOGIN: Final = re.compile(
    r"(?i):(?!//)[^@]*@|(?:%3a|%253a)[^@]*@"  # user:password@
    r"|://(?![\w.+-]*@)[^@]*@"  # a login of another form
    r"|://[^/]*:(?!\d*(?:[/?,]|$))|://.*\?.*%"  # a colon without a port, an encoded query
    r"|(?:pass\w*|pwd|secret\w*|token\w*|api_?key\w*)(?:=|:|%3d|%253d)"
)
_URL_PART: Final = re.compile(r"@|://|%3a|%40|^[^=]*:", re.IGNORECASE)


def may_have_password(text: str) -> bool:
    """Return whether text has the form of a login or of a key with a password; `***` is no password.

    >>> may_have_password("storage=postgresql://me:secret@host/x"), may_have_password("cohort=/data/me@site/cohort.csv")
    (True, False)
    """
    return bool(_LOGIN.search(text.replace(":***@", "@")))


def without_credentials(argument: str) -> str:
    """Return an argument of a command line; a value that may contain a password is replaced.

    >>> without_credentials("x=postgresql://me:secret@host/x"), without_credentials("trainer.steps=20")
    ('x=<not shown>', 'trainer.steps=20')
    """
    if not may_have_password(argument):
        return argument
    name, equals, _ = argument.partition("=")
    return f"{name}={NOT_SHOWN}" if equals and re.fullmatch(r"[\w.+~-]+", name) else NOT_SHOWN


def repeatable(text: str) -> str:
    """Return text that is no known key or value as a message may repeat it: not if it may be a part of a URL.

    >>> repeatable("trainer.stepz"), repeatable("storage:postgresql"), repeatable("word@host/x")
    ('trainer.stepz', '<not shown>', '<not shown>')
    """
    return NOT_SHOWN if may_have_password(text) or _URL_PART.search(text) else text
