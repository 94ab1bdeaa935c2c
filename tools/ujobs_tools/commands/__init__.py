"""One module a command of `ujobs`; `ujobs_tools.cli` puts them together."""
