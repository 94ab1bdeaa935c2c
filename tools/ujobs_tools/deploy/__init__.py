"""Boards on a cable: what `ujobs deploy`, `provision`, `flash`, `logs` and `wipe` do.

`ports` opens serial ports and says why one does not open, `remote` makes a board do things through mpremote, with
`on_board` as its part that runs there, `contents` compiles what belongs on the board, `plan` compares that with what is
there, `install` brings over the difference, `provision` makes a thing of the board, `flash` puts MicroPython on it.
"""
