"""What to ask the database for, when, and which child gets it."""
