"""The supervisor's side of its processes."""
