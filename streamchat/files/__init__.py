"""Checks of uploaded files: what they are by their content, and the text in them."""
