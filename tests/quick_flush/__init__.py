"""An app for the tests alone, whose `flush` stands in Django's place."""
