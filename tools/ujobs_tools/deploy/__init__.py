"""Boards on a cable, for `ujobs deploy`, `provision`, `flash`, `logs`, `wipe` and `qualify`.

`ports` opens serial ports and explains why one does not open; `follower` reads a console in a thread; `remote` runs
`on_board` on the board through mpremote; `contents` compiles the files for a board, `plan` compares them with the
board's files, `install` sends the difference; `provision` gives the board its identity; `flash` installs MicroPython.
"""
