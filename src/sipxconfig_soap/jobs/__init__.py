"""Carrying jobs out: from the queue to profile files and restarted phones (phones.md §2).

The queue is the table of `sipxconfig_soap.domain.jobs`; this room is the only one that changes the
state of a job once it waits (docs/adr/0008-own-job-queue.md).
"""
