"""Programs on CPython that do jobs, for measurements. UJOBS_BENCH has the options of on_board/connecting.py."""
