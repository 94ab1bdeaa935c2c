"""The virtual board: boot.py and main.py on MicroPython's unix port, with an image file as flash.

It emulates only what needs hardware: resets, watchdog, flash, Wi-Fi, clock, a small heap. `interpreter` finds
MicroPython and its compiler; `umqtt` finds the MQTT client that ESP32 firmware includes; `image` creates and reads
littlefs images; `files` collects the files of a board; `process` starts MicroPython on an image; `supervisor` emulates
the board around that process.
"""
