"""Formats that the source and the CRM clients share: phone numbers, Standard Webhooks, addresses.

Any module may import from here; nothing here imports another package of the project.
"""
