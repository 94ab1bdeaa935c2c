"""Runs the tests of tests/fuzz with inputs that atheris chooses by coverage, for any length of time."""
