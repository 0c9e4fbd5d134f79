"""The documentation as web pages, in English and Spanish: `python -m website` builds them from `docs/`."""
