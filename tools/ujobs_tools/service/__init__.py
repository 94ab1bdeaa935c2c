"""The local Jobs service: the device side of AWS IoT Jobs over MQTT, and the HTTP calls that create jobs."""
