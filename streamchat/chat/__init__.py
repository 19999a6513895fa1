"""Pure values of a conversation: messages, parts, events, their fold and their wire form.

No I/O, no clock, no async. The rest of the program exchanges these values.
"""
