"""What tools answered: told apart, shown as tables and trees in bounded parts, searched, given."""
