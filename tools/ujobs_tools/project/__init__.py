"""A user's project: its file `ujobs.toml`, and `ujobs new`, which creates a project."""
