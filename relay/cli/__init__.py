"""The command line `relay`. Each command is a module of its name, imported when it is used.

Only `relay.__main__`, which is the console script too, imports from here.
"""
