"""Entry point of the command line: `liverspleen VERB [key=value ...]`."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence

from liverspleen import __version__
from liverspleen.cli.streams import finished, protect, with_utf8_names
from liverspleen.cli.verbs import VERBS, module_of
from liverspleen.config import compose
from liverspleen.config.choices import CONF
from liverspleen.config.renamed import current_names
from liverspleen.credentials import repeatable
from liverspleen.errors import InputError, Issue, collapsed, unexpected

NETWORK_VERBS = frozenset({"demo", "train", "bench", "predict"})
"""Verbs that run a network."""

_HELP = """\
liverspleen {version}: liver and spleen segmentation and volumetry on CT, from scans to agreement statistics.
Research use only, not a medical device. The shipped model was trained on phantoms only: train one on your cohort.

usage: liverspleen VERB [key=value ...]
       liverspleen VERB [key=value ...] --help      show the help of the verb, and its keys with these values
       liverspleen VERB [key=value ...] --cfg job   print the configuration as YAML, and do not run the verb

{verbs}

examples
  liverspleen demo output=outputs/demo

Data flow: dataset -import-> cohort.csv -check, split, prepare-> slice cache -train-> checkpoint -predict-> label maps
-measure-> measurements.csv -report-> tables, figures, report.html. Every output folder has a run.json.

conf=FOLDER adds your own choices to any verb: FOLDER/network/mine.yaml adds network=mine.

exit codes
  0: finished, possibly with warnings; 2: input or cases rejected, each issue listed; 1: failure
"""

_HELP_FLAGS = frozenset({"-h", "--help"})
_CFG_FLAGS = frozenset({"-c", "--cfg"})
_FOLDERS = frozenset({"output", "cache", "import"})
"""Keys of the folders that verbs write."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        width = max(map(len, VERBS))
        listing = "\n".join(f"  {verb:<{width}}  {purpose}" for verb, purpose in VERBS.items())
        print(_HELP.format(version=__version__, verbs=listing))
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    verb, *overrides = arguments
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        hint = f"did you mean {near[0]}?" if near else "see liverspleen --help"
        return _print_issues([Issue("LS-CFG-000", f"there is no verb {repeatable(verb)!r}", hint)])
    try:
        overrides, renamed = current_names(verb, overrides)
        _print_issues(renamed)
        shows_configuration = _remove_cfg_flag(overrides)
        if _HELP_FLAGS & set(overrides):
            return _print_help(verb, [override for override in overrides if override not in _HELP_FLAGS])
        if shows_configuration:
            from liverspleen.cli.help import composed_yaml

            print(composed_yaml(verb, overrides))
            return 0
        return run_verb(verb, overrides)
    except InputError as error:
        return _print_issues(error.issues)
    except KeyboardInterrupt as stop:
        message = ", ".join(["interrupted", *map(str, stop.args)])
        print(Issue("LS-RUN-002", message, "run the same command again to resume"), file=sys.stderr)
        return 1
    except OSError as error:
        from liverspleen.output_folder import storage_issue

        if issue := storage_issue(error):
            return _print_issues([issue])
        message = f"{error.strerror or error} (unexpected {type(error).__name__})"
        hint = "check that the path exists, its permissions, and the free disk space"
        print(Issue("LS-RUN-003", message, hint, file=error.filename), file=sys.stderr)
        return 1
    except Exception as error:  # one line for the user, the traceback on request
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        print(unexpected(error), file=sys.stderr)
        return 1


def run_verb(verb: str, overrides: Sequence[str]) -> int:
    """Compose the configuration of a verb, run the verb, print its issues, and return the exit code."""
    from liverspleen.processes import keep_pages
    from liverspleen.provenance import changed_inputs

    config = compose(verb, overrides)
    if verb in NETWORK_VERBS:
        keep_pages()  # before torch allocates
    run = module_of(verb).run
    issues = run(config, overrides) if verb in {"sweep", "train"} else run(config)  # their trainings get the overrides
    return _print_issues([*(issue for issue in changed_inputs(config) if issue not in issues), *issues])


def _print_help(verb: str, overrides: Sequence[str]) -> int:
    """Print the help of a verb, then the issues of its overrides."""
    from liverspleen.cli.help import verb_help

    try:
        print(verb_help(verb, overrides))
        return 0
    except InputError as error:
        print(verb_help(verb, [override for override in overrides if override.startswith(f"{CONF}=")]))
        return _print_issues(error.issues)


def _remove_cfg_flag(overrides: list[str]) -> bool:
    """Return whether `--cfg job` is among the overrides, and remove it.

    Raises:
        InputError: LS-CFG-001 another value of --cfg.
    """
    for index, override in enumerate(overrides):
        flag, equals, value = override.partition("=")
        if flag in _CFG_FLAGS:
            value, stop = (value, index + 1) if equals else ("".join(overrides[index + 1 : index + 2]), index + 2)
            if value != "job":
                raise InputError(Issue("LS-CFG-001", f"--cfg {repeatable(value)} is not supported", "write --cfg job"))
            del overrides[index:stop]
            return True
    return False


def _print_issues(issues: Sequence[Issue]) -> int:
    """Print the issues to stderr, and return the exit code."""
    for line in collapsed(issues):
        print(line, file=sys.stderr)
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def entry() -> None:
    """Run the console script; `sys.argv` stays unchanged, because distributed trainings start their ranks from it."""
    with_utf8_names()
    protect()
    arguments = sys.argv[1:]
    names = {argument.partition("=")[0] for argument in arguments}
    text_only = bool(names & (_HELP_FLAGS | _CFG_FLAGS)) or not names & _FOLDERS
    sys.exit(finished(main(arguments), text_only=text_only))


if __name__ == "__main__":
    entry()
