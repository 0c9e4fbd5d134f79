"""The pages for people at `/console`: server-rendered HTML in Spanish and English.

It may import `relay.operations` and everything below it: a page shows what the commands show, too.
`relay.app` imports `entry` alone; the rest, and Jinja2 with it, is imported when the first page is asked for.
"""
