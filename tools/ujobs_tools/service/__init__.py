"""The local Jobs service: the device side of AWS IoT Jobs over MQTT, and the HTTP API that creates jobs."""
