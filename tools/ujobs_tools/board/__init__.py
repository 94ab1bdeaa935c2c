"""The virtual board: boot.py and main.py on MicroPython's unix port, with an image file as flash.

It stands in for what only silicon gives (resets, watchdog, flash, Wi-Fi, clock, a small heap) and for nothing
else. `interpreter` finds MicroPython and its compiler, `umqtt` the MQTT client that a board's firmware
carries, `image` makes and reads littlefs images, `files` gathers what belongs on a board, `process` starts
MicroPython on an image, and `supervisor` is the board around that process.
"""
