"""`python -m ujobs_tools` is `ujobs`."""

import io
import sys


def main() -> None:
    """Run the command `ujobs`. Ctrl-C, SIGTERM and a closed terminal let it clean up; the exit code is then 130."""
    try:
        # Importing the commands takes half a second: Ctrl-C comes then, too.
        from ujobs_tools.host.processes import ended_by_signals

        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="replace")  # the terminal's character set may lack ✓ or a user's letters
        with ended_by_signals():
            from ujobs_tools.cli import app

            app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
