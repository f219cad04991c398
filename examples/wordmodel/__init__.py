"""The demo model's decisions: which tool, which arguments, which sentence. Pure, no network."""
