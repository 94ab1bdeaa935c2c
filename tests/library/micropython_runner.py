"""Runs the functions of one device test file on MicroPython; test_on_micropython.py starts it and reads its output.

Arguments: the module's name, and the functions to call. Prints
`run NAME` before each function, and `ok NAME` or `FAIL NAME` with the traceback after it. Runs on MicroPython only.
"""

import gc
import sys


def main(module: str, names: list) -> None:
    """Import `module` and call its functions `names`."""
    try:
        tests = __import__(module)
    except Exception as error:
        for name in names:
            print("FAIL " + name)
            sys.print_exception(error)
        return
    for name in names:
        gc.collect()
        print("run " + name)
        try:
            getattr(tests, name)()
        except BaseException as error:
            print("FAIL " + name)
            sys.print_exception(error)
        else:
            print("ok " + name)


main(sys.argv[1], sys.argv[2:])
