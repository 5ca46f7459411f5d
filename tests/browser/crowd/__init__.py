"""The pages of the admin on large tables: `python -m tests.browser.crowd`, see CONTRIBUTING.md."""
