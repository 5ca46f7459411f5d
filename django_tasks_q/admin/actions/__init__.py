"""What an operator may do with rows."""
