"""The local Jobs service: what a device sees of AWS IoT Jobs over MQTT, and the HTTP calls that make work for it."""
