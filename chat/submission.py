"""What a person may do to a conversation: send, try again, stop."""
