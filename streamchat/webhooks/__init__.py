"""Webhooks: signed POST requests that tell of answers, as Standard Webhooks specifies them."""
