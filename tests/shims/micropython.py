"""The `micropython` module for CPython: the functions that device code uses."""


def const(value):
    return value
