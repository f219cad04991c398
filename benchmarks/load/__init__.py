"""A thousand people at once: streamed turns and idle streams, on one web process and one worker."""
