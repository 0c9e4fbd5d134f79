"""Forgetting a person or a call, for `relay forget`: ledger, cache, archive, CRMs and CloudTalk's recordings.

`subject` finds the calls, `run` erases them in order, and `receipt` says what was done and what is left.
"""
