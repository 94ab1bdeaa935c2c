"""Fault injection: checks the promises of docs/reliability.md; run by `python -m ujobs_lab.faults`, see __main__."""
