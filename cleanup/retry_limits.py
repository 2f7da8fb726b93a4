"""How often something is tried again before it is given up: every such count. Pure.

Attempts at one application are a setting, CLEANUP_MAX_ATTEMPTS. How long to wait in between is decided in
``cleanup.services.concurrency.retry``.
"""

#: Retries after a transient error (a lost connection, a busy file, a lock): about ten seconds.
TRANSIENT_RETRIES = 9

#: Times in a row that the references are read because tables were changed in the meantime.
SCHEMA_READS = 5

#: Retries when another session has just created the folder that was about to be created.
FOLDER_RETRIES = 5

#: Times that a check, a verification or a scheduled task is begun, if its worker is lost each time.
TASK_ATTEMPTS = 3

#: Consecutive lost workers after which a run is paused. A single crashing application is failed before that.
MAX_LOST_WORKERS = 10

#: Deliveries of a waiting lease after which only the heartbeat makes another one.
MAX_DELIVERIES = 5

#: How often a request for signs of life is forwarded: for each cluster that is asked, and at most.
FORWARDS_EACH, MAX_FORWARDS = 4, 20
