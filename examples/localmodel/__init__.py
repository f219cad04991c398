"""A model of any GGUF file with tool calls, by holding what it may write to a schema."""
