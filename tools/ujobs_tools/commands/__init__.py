"""One module per command of `ujobs`; `ujobs_tools.cli` registers them."""
