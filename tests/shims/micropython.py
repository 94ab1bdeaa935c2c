"""Stand-in for the `micropython` module: what device code uses of it."""


def const(value):
    return value
