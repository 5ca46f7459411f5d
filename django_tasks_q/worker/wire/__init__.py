"""What travels between the supervisor and its children."""
