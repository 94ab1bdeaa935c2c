"""Makes the library a device: Wi-Fi, clock, watchdog, settings. lib/ujobs does not depend on it."""
