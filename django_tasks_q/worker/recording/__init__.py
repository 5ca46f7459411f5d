"""Outcomes on their way from the children into the database."""
