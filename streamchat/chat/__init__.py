"""Pure values of a conversation: messages, parts, events, their fold and their wire form.

No I/O, no clock, no async. Everything else in the program speaks in these values.
"""
