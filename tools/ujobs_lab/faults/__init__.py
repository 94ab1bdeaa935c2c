"""Breaks what the promises of docs/reliability.md must survive; `python -m ujobs_lab.faults`, see __main__."""
