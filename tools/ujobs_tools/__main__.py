"""`python -m ujobs_tools` is `ujobs`."""

from ujobs_tools.cli import app

if __name__ == "__main__":
    app()
