"""Generates pages and pictures of docs/ from the sources."""
