"""Recordings: signed links, a cache on the disk, and an archive that outlives CloudTalk's copies.

`endpoint` serves `GET /recordings/{id}.wav`. `library` finds the audio of a call: in the archive, in the
cache, or at CloudTalk (`sources`, `download`, `fetches`). `archiver` fills the archive. Import
`RecordingsService`, which has all of it, from `service`.
"""
