"""One program for each contender: it runs turns as fast as it can when it is told how many."""
