"""What runs in the fork server, from which the children are forked."""
