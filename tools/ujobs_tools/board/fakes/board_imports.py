"""The order in which an ESP32 looks for a module (MicroPython, py/builtinimport.c).

Runs on MicroPython only; tracebacks do not show it. Some built-in modules always come first. All others, such as
`time`, `machine` and `socket`, come last: a file of that name in `sys.path` hides them. `u` before the name finds the
built-in module. A built-in module is not in `sys.modules`.
"""

import builtins

import umachine  # type: ignore[import-not-found]
import uos  # type: ignore[import-not-found]
import usocket  # type: ignore[import-not-found]
import utime  # type: ignore[import-not-found]

# Modules of the unix port that an ESP32 does not have.
_FOREIGN = ("argparse", "termios")
_find = __import__


def install(fixed: dict, frozen: dict, machine: object, os: object, socket: object, time: object) -> None:
    """Put the fakes in the place of the unix port's modules.

    fixed: those that no file hides, by name. frozen: those that are frozen into ESP32 firmware, by name.
    """
    extensible = {id(umachine): machine, id(uos): os, id(usocket): socket, id(utime): time}

    def find(name, *arguments):
        if name in fixed:
            return fixed[name]
        if name in _FOREIGN:
            raise ImportError("no module named '%s'" % name)
        try:
            found = _find(name, *arguments)
        except ImportError as error:
            if name in frozen and str(error) == "no module named '%s'" % name:
                return frozen[name]
            raise
        return extensible.get(id(found), found)

    builtins.__import__ = find
