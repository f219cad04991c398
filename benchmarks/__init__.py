"""What the product costs next to bare clients: `python -m benchmarks`, see `docs/benchmarks.md`."""
