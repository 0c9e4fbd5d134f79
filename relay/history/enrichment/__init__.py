"""Asking CloudTalk about single calls: why one was missed, and what its AI wrote about a conversation.

`worker` takes the questions that are due from the ledger, `api` sends the requests, `schedule` says when a
question is asked again, and `pauses` when an API is not asked at all. Import from the modules.
"""
