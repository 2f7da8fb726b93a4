"""The verbs: what a person, a program or a schedule asks for, each a function that does all that belongs to it.

A verb refuses what cannot be done before anything is written, does the work or has the clusters do it, and returns the
report. Whoever calls decides who may ask; see ``cleanup.permissions``.
"""
