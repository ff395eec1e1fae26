"""The dynamic look: what a distribution does when it is installed and imported where it can reach nothing.

Off unless asked for. Why, what contains it and what it does not contain: docs/decisions/0018-dynamic-look.md
"""
