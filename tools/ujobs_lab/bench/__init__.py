"""Measurements of the library on a host, against the alternatives, and their budget."""
