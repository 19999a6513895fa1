"""Other programs beside this one and its floor, on the same loads in the same run: ``python -m bench.peers``.

Not part of ``make bench`` nor of CI: they come from npm.
"""
