"""The verbs that people, programs and schedules ask for, each one function that does everything that belongs to it.

A verb refuses what cannot be done before anything is written, does the work or has the clusters do it, and returns the
report. The caller checks permissions; see ``cleanup.permissions``.
"""
