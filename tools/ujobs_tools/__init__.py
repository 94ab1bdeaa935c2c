"""Host side of ujobs: the local Jobs service, the virtual board, the demo."""
