"""Programs of others that tests and benchmarks run: fetches and starts them."""
