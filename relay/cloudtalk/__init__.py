"""The source: requests of CloudTalk are authenticated and parsed into `CallEvent`s here.

`authentication` decides who may send, `request` decodes the body, `dialects` recognises its form, `parser`
turns it into events. `secrets` removes secrets from what is stored. Ingest, the fold's rebuild and the
settings import from these modules; this package imports only `call`, `standards` and `instants` of the relay.
"""
