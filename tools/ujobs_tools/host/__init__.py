"""This machine: child processes, the terminal, files."""
