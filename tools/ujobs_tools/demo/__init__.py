"""`make demo`: a local Jobs service, a virtual board, and seven jobs, each with its expected result."""
