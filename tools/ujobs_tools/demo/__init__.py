"""`make demo`: a local Jobs service, a virtual board, and seven jobs with what should become of each."""
