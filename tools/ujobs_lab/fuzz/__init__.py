"""The tests of tests/fuzz with input that is chosen by coverage, by atheris, for as long as one likes."""
