"""Mutation testing: puts faults into the library and the firmware, and counts those that the tests detect."""
