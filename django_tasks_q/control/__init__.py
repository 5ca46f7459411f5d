"""The operator's actions, the same for admin, commands and code. Each returns what it did."""
