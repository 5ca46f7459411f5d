"""An app whose tasks run by the clock, for the workers of some tests."""
