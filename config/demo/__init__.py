"""The demo: child processes, the site with its first rows, and a check of the whole."""
