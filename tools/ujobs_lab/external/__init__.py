"""Third-party programs for tests and benchmarks: fetches and starts them."""
