"""`python -m liverspleen`."""

from liverspleen.cli.main import entry

if __name__ == "__main__":
    entry()
