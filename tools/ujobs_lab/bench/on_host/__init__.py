"""Programs on CPython that do jobs, for measurements. Options as on_board/connecting.py has them, in UJOBS_BENCH."""
