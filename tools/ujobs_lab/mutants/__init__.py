"""Puts faults into the library and the firmware, one at a time, and counts those that the tests notice."""
