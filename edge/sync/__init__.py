"""Outbox -> elsewhere: the floor of the sender, which comes with a later version.

Its place stands already because its limits do: import contracts in ``pyproject.toml`` keep raw
data out of its reach before the first line of it is written.
"""
