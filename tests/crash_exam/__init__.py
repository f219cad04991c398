"""The crash exam: `kill -9` at every commit of a turn, with every executor, on real services.

Nothing acknowledged may be lost, no call may be made twice, and every turn must end or wait.
"""
