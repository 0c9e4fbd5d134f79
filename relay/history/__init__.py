"""CloudTalk's history: calls that are read from its REST API, for `relay backfill` and the reconciler.

`api` sends requests, `pages` parses the answers, `windows` divides a range of time, `reading` goes through
its pages, `importer` appends what is new to the journal, and `reconciler` does so again and again. The fold
joins the rows like any other event (`relay.cloudtalk.history`). Import from the modules.
"""
