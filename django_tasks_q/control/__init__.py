"""The operator's verbs, the same for admin, commands and code: each says what it did."""
