"""Recordings: signed links, and a cache on the disk.

`endpoint` serves `GET /recordings/{id}.wav`. `library` finds the audio of a call: in the cache, or at
CloudTalk (`sources`, `download`, `fetches`). Import `RecordingsService`, which has all of it, from `service`.
"""
