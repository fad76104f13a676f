"""Windows of event time: aggregate rows kept by group and slot, and read over any span.

Rules read ``reading.Windows``. ``store.WindowStore`` is one, and pure: whoever moves the bytes
calls it, and its ``journal.Journal``, in this order.

After an assignment, with Kafka's id of ``inferwatch.aggregates`` and a claim that no leader had
before:

    store = WindowStore(topic_id)
    journal = Journal(store, registry)
    start = journal.load(newest_value_of_each_key_of_totals, epoch)

and each partition of the aggregates is read from ``start.read_from``, one that is not there from
its start. What rules found holds up to ``start.evaluated_until``. For each chunk:

    parts, bad = aggregate_reader(registry).read(chunk)   # made once
    store.take(chunk, parts, bad)                         # bad is for the dead letters then

Now and then, once ``journal.caught_up``:

    save = journal.save(evaluated_until)

Each of ``save.steps`` is written when the broker has acknowledged the one before; then
``save.floors`` may be committed. A save that was not written whole is written again, or everything
is begun anew with ``load``: the next one holds only what changed since.

A partition's log decides alone what is held of it: when blocks are folded, and which rows come too
late for that. So whoever loads any state of the totals, and reads on from where it says, has the
same (docs/decisions/0032).
"""
