"""What turns the library into a device: Wi-Fi, clock, watchdog, settings. lib/ujobs does not know of it."""
