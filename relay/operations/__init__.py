"""What an operator sees and does: the same for the commands and for the console.

It may import the steps and everything below them. It prints nothing and knows neither HTML nor a terminal.
"""
