"""The JSON API; its framework is loaded with the first request that comes to `door`."""
