"""Freezes the library and the board glue into ESP32 firmware: frozen code costs no RAM.

Use: make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=<this file>, in a MicroPython checkout. boot.py
and main.py stay files on the board, so that an update can replace them.
"""
# ruff: noqa: F821
# pyright: reportUndefinedVariable=false

include("$(PORT_DIR)/boards/manifest.py")
require("umqtt.simple")
package("ujobs", base_path="../lib", opt=2)
package(
    "firmware",
    files=(
        "__init__.py", "choices.py", "clock.py", "health.py", "proving.py", "settings.py", "supervision.py",
        "watchdog.py", "wifi.py",
    ),
    base_path="..",
    opt=2,
)
